import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { ConfigInvalid, readConfig, readSecrets, SETTINGS, settingsReference } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'nexusmon-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a configuration', () => {
  it('needs nothing to be set', () => {
    const config = readConfig({});
    expect(config.gateway).toEqual({ host: '127.0.0.1', port: 8000 });
    expect(config.secrets_dir).toBe(join(config.data_dir, 'secrets'));
    expect(config.traces.endpoint).toBeUndefined();
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ PORT: '', NATS_MONITOR_URL: '' }).gateway.port).toBe(8000);
  });

  it.each([
    ['PORT', '70000'],
    ['NATS_URL', 'nowhere'],
    ['DATABASE_URL', 'mysql://127.0.0.1/x'],
    ['LOG_LEVEL', 'loud'],
    ['NEXUSMON_STREAMS', '0'],
    ['NEXUSMON_FETCH_HOSTS', 'example.org,10.0.0.1'],
  ])('that is wrong in %s names it', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`${name} .*${value}`));
  });

  it('lists no host to fetch from unless it is told to', () => {
    expect(readConfig({}).egress).toEqual([]);
    const { egress } = readConfig({ NEXUSMON_FETCH_HOSTS: ' example.org, ,http://127.0.0.1:8080' });
    expect(egress.map(({ text }) => text)).toEqual(['https://example.org:443', 'http://127.0.0.1:8080']);
  });

  it('never shows the value of a secret', () => {
    expect(() => readConfig({ OPERATOR_KEY: 'short' })).toThrow(/^OPERATOR_KEY/);
    expect(() => readConfig({ OPERATOR_KEY: 'short' })).not.toThrow(/short" is not/);
  });

  it('sends traces where the standard variables say', () => {
    const endpoint = 'http://127.0.0.1:4318/';
    expect(readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).traces.endpoint).toBe(
      'http://127.0.0.1:4318/v1/traces',
    );
    expect(readConfig({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint }).traces.endpoint).toBe(endpoint);
  });

  it('has a line in the reference for every setting', () => {
    expect(settingsReference().map(({ name }) => name)).toEqual(Object.keys(SETTINGS));
    for (const { says, unit } of settingsReference())
      expect([says.endsWith('.'), unit.length > 0]).toEqual([true, true]);
  });
});

describe('the secrets of a context', () => {
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

  it('of access are those of the gateway', () => {
    write('gateway.json', JSON.stringify({ nats_user: 'gateway', nats_password: 'p' }));
    expect(readSecrets({ secrets_dir: folder }, 'access').nats_user).toBe('gateway');
  });

  it('name what is missing and show no value', () => {
    write('mission.json', JSON.stringify({ nats_user: 'mission', nats_password: 'very-secret' }));
    const secrets = readSecrets({ secrets_dir: folder }, 'mission');
    expect(() => secrets.get('wrap_key')).toThrow(/mission.json has no wrap_key/);
    expect(JSON.stringify(secrets)).not.toContain('very-secret');
    write('vault.json', JSON.stringify({ nats_user: 'vault' }));
    expect(() => readSecrets({ secrets_dir: folder }, 'vault')).toThrow(/nats_password/);
    expect(() => readSecrets({ secrets_dir: folder }, 'evolution')).toThrow(ConfigInvalid);
  });
});
