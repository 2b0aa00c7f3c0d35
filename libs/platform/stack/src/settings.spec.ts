import { describe, expect, it } from '@jest/globals';
import { pauseBefore } from './keep-running.js';
import { handedThrough, reachable, servicesOf } from './services.js';
import { checkFetchHosts, checkKeys, outsideOf } from './settings.js';

describe('components that somebody else runs', () => {
  it('are none unless they are named', () => {
    expect(outsideOf({ NATS_URL: '', PATH: '/bin' })).toEqual({ credentials: {} });
  });

  it('keep their credentials apart from their addresses', () => {
    expect(
      outsideOf({
        NATS_URL: 'nats://me:p%40ss@nats:4222',
        DATABASE_URL: 'postgres://root:word@pg:5432/ours',
        S3_ENDPOINT: 'https://s3.test',
        S3_ACCESS_KEY: 'a',
        S3_SECRET_KEY: 'b',
      }),
    ).toEqual({
      nats_url: 'nats://nats:4222',
      database_url: 'postgres://pg:5432/ours',
      s3_endpoint: 'https://s3.test',
      credentials: {
        nats: { user: 'me', password: 'p@ss' },
        database: { user: 'root', password: 'word' },
        s3: { user: 'a', password: 'b' },
      },
    });
  });

  it.each([
    { environment: { NATS_URL: 'localhost' }, says: /^NATS_URL must be a URL/ },
    { environment: { DATABASE_URL: 'postgres://pg/ours' }, says: /^DATABASE_URL must name a user/ },
    { environment: { S3_ENDPOINT: 'http://s3' }, says: /S3_ACCESS_KEY and S3_SECRET_KEY/ },
  ])('are refused in one sentence: $environment', ({ environment, says }) => {
    expect(() => outsideOf(environment)).toThrow(says);
  });
});

describe('keys that nobody would take', () => {
  it.each([
    { environment: { SWARMZ_JWT_SECRET: 'é'.repeat(15) }, says: /^SWARMZ_JWT_SECRET must have at least 32 bytes/ },
    { environment: { OPERATOR_KEY: ' nexusmon_sovereign_key ' }, says: /^OPERATOR_KEY is the published example key/ },
    { environment: { OPERATOR_KEY: `short${' '.repeat(20)}` }, says: /^OPERATOR_KEY must have at least 16 characters/ },
  ])('are refused in one sentence: $environment', ({ environment, says }) => {
    expect(() => checkKeys(environment)).toThrow(says);
  });

  it('are not those of the right length, nor none', () => {
    checkKeys({ SWARMZ_JWT_SECRET: 'é'.repeat(16), OPERATOR_KEY: 'a key of my own choosing' });
    checkKeys({ SWARMZ_JWT_SECRET: '', OPERATOR_KEY: '' });
  });
});

describe('hosts that may be fetched from', () => {
  it('are refused in one sentence where they cannot be meant', () => {
    expect(() => checkFetchHosts({ NEXUSMON_FETCH_HOSTS: 'example.org, *' })).toThrow(
      /^NEXUSMON_FETCH_HOSTS: "\*": it is/,
    );
    expect(() => checkFetchHosts({ NEXUSMON_FETCH_HOSTS: '10.0.0.1' })).toThrow('an address is listed with its port');
  });

  it('may be none, or several', () => {
    checkFetchHosts({});
    checkFetchHosts({ NEXUSMON_FETCH_HOSTS: '' });
    checkFetchHosts({ NEXUSMON_FETCH_HOSTS: 'example.org, *.example.org,http://10.0.0.1:8080,' });
  });
});

describe('a process of ours', () => {
  it('is given nothing of the environment that is not listed (P1)', () => {
    const given = handedThrough({
      PATH: '/bin',
      ANTHROPIC_API_KEY: 'k',
      OTEL_SERVICE_NAME: 's',
      NEXUS_MASTER_SECRET: 'm',
      OPERATOR_KEY: 'o',
      DATABASE_URL: 'd',
      S3_SECRET_KEY: 's',
      AWS_SECRET_ACCESS_KEY: 'x',
      LOG_LEVEL: '',
    });
    expect(given).toEqual({ PATH: '/bin', ANTHROPIC_API_KEY: 'k', OTEL_SERVICE_NAME: 's' });
  });

  it('is one, or one of six, and the gateway is in one of them', () => {
    expect(servicesOf('/c', false).map(({ name }) => name)).toEqual(['standalone']);
    const separate = servicesOf('/c', true);
    expect(separate).toHaveLength(6);
    expect(separate.filter(({ serves_gateway }) => serves_gateway).map(({ name }) => name)).toEqual(['gateway']);
  });

  it.each([
    ['0.0.0.0', '127.0.0.1'],
    ['::', '[::1]'],
    ['fd00::1', '[fd00::1]'],
    ['192.168.1.2', '192.168.1.2'],
  ])('that listens on %s is reached at %s', (host, address) => {
    expect(reachable(host)).toBe(address);
  });

  it('is started again after at most 2 s at first and 5 s ever (R1)', () => {
    expect(pauseBefore(1)).toBeLessThanOrEqual(2_000);
    const pauses = Array.from({ length: 40 }, (_, index) => pauseBefore(index + 1));
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5_000);
  });
});
