// The operator key under attack, and API tokens between processes, on a real log. `C1`–`C4` are the numbers in
// key-checks.ts, `B1`–`B3` those in api-tokens.ts; time is the spec's own.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '@nexusmon/config';
import { EventLog, newId } from '@nexusmon/event-log';
import { Keyring } from '@nexusmon/keys';
import { RequestMux } from '@nexusmon/messaging';
import { migrate } from '@nexusmon/projections';
import { ContextNats, startService, type RunningService } from '@nexusmon/runtime';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { GatewayServiceModule } from '../gateway-service.module.js';
import { Problem } from '../http/problem.js';
import { accessMigrations } from '../migrations.js';
import { ApiTokens } from './api-tokens.js';
import { KeyChecks, lockoutId, type Place } from './key-checks.js';
import { lockoutAggregate } from './lockout.aggregate.js';
import { OperatorKey } from './operator-key.js';
import { tokenAggregate } from './token.aggregate.js';

const servers = await testServers();
const { database_user = '', database_password = '' } = JSON.parse(
  readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8'),
) as Record<string, string>;
const admin_url = new URL(servers.database_url);
[admin_url.username, admin_url.password] = [database_user, database_password];
const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NATS_MONITOR_URL: servers.nats_monitor_url, DATABASE_URL: servers.database_url },
  ...{ NEXUSMON_STREAMS: String(servers.streams), NEXUSMON_SECRETS: servers.secrets_dir },
  ...{ OPS_PORT: '0', PORT: '0', OPERATOR_KEY: 'a key that is long enough for a spec' },
});

const RIGHT = `nx_op_${randomBytes(32).toString('base64url')}`;
const WRONG = 'nx_op_wrong-wrong-wrong-wrong';
const HOUR = 3_600;
const STEPS = [30, 30, 30, 120, 120, 120, 900, 900, 900, HOUR] as const;

let service: RunningService;
let now_ms: number;
let pepper: Buffer;
let account: string;

beforeAll(async () => {
  await migrate(admin_url.toString(), 'access', 'access', accessMigrations);
  service = await startService('gateway-keys-spec', config, [GatewayServiceModule], { log: silentLogger() });
}, 60_000);
afterAll(() => service.stop());
beforeEach(() => {
  // Another pepper makes other ids: nothing of the specs before is known here.
  pepper = randomBytes(32);
  account = `operator:${randomUUID()}`;
  now_ms = Date.now();
});

/** One gateway process: its own view of the log, the shared clock, and a count of the keys that it compared. */
const startProcess = async () => {
  const { app } = service;
  const keyring = app.get(Keyring, { strict: false });
  const log = new EventLog({
    connection: app.get(ContextNats, { strict: false }).connection,
    mux: app.get(RequestMux, { strict: false }),
    keyring,
    streams: config.streams,
    monitor: { monitor_url: servers.nats_monitor_url },
    now_ms: () => now_ms,
    onFatal: (error) => {
      throw error;
    },
  });
  expect(await log.start()).toEqual({ writable: true });
  const real = new OperatorKey(RIGHT, pepper);
  const compared: string[] = [];
  const key = {
    matches: (candidate: string) => {
      compared.push(candidate);
      return real.matches(candidate);
    },
  };
  const pause = (milliseconds: number) => Promise.resolve((now_ms += milliseconds));
  const clock = { now_ms: () => now_ms, pause };
  const checks = new KeyChecks({ log, keyring, key, account, pepper, logger: silentLogger(), clock });
  const tokens = new ApiTokens({ log, keyring, pepper, logger: silentLogger() });
  return { log, checks, compared, tokens };
};
type Process = Awaited<ReturnType<typeof startProcess>>;

const HOME = '192.0.2.7';
const attempt = async ({ checks }: Process, candidate: string, address = HOME, place: Place = 'login') => {
  try {
    await checks.check(address, candidate, place);
    return [200];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return [error.status, error.code, Number(error.details.headers?.['retry-after'])];
  }
};
const stateOf = ({ log }: Process, scope: 'address' | 'account', whom: string) =>
  log.load(lockoutAggregate, lockoutId(pepper, scope, whom));

describe('wrong keys', () => {
  it('lock their address and the account out, longer and longer, and only time undoes it (C1, C2)', async () => {
    const one = await startProcess();
    for (const [index, step] of STEPS.entries()) {
      const began_ms = now_ms;
      // The refusal is told 250 ms after the lock began, and says how long it still lasts.
      expect(await attempt(one, WRONG)).toEqual([401, 'operator-key-invalid', step]);
      expect(now_ms).toBe(began_ms + 250);
      const { revision } = await stateOf(one, 'account', account);
      expect([revision, (await stateOf(one, 'address', HOME)).revision]).toEqual([index + 1, index + 1]);
      expect(await attempt(one, RIGHT)).toEqual([429, 'locked-out', step]);
      now_ms = began_ms + step * 1_000 - 1;
      expect(await attempt(one, RIGHT)).toEqual([429, 'locked-out', 1]);
      expect(await attempt(one, WRONG, '198.51.100.1', 'header')).toEqual([429, 'locked-out', 1]);
      expect((await stateOf(one, 'account', account)).revision).toBe(revision);
      now_ms += 1;
    }
    // The last lock lasts as long as failures are remembered: the count begins again.
    expect(await attempt(one, RIGHT)).toEqual([200]);
    expect(await attempt(one, WRONG)).toEqual([401, 'operator-key-invalid', 30]);
    expect(one.compared).toEqual([...STEPS.map(() => WRONG), RIGHT, WRONG]);
  });

  it('are not forgotten for a right one in between', async () => {
    const one = await startProcess();
    for (const expected of [30, 30, 30, 120]) {
      expect(await attempt(one, WRONG)).toEqual([401, 'operator-key-invalid', expected]);
      now_ms += expected * 1_000;
      expect(await attempt(one, RIGHT)).toEqual([200]);
    }
  });

  it('count wherever they come from: login, header, body', async () => {
    const one = await startProcess();
    const places = ['login', 'header', 'body', 'header'] as const;
    const answers = [];
    for (const place of places) {
      answers.push((await attempt(one, WRONG, HOME, place)).slice(0, 2));
      now_ms += 120_000;
    }
    const invalid = [401, 'operator-key-invalid'];
    const refused = [403, 'operator-key-refused'];
    expect(answers).toEqual([invalid, refused, invalid, refused]);
    expect((await stateOf(one, 'account', account)).state.failures).toBe(4);
  });

  it('that come together all count, and buy one comparison (C2)', async () => {
    const one = await startProcess();
    const guesses = [...Array.from({ length: 99 }, (_, index) => `${WRONG}-${index}`), RIGHT];
    const answers = await Promise.all(guesses.map((guess) => attempt(one, guess)));
    expect(answers.filter(([status]) => status === 401)).toHaveLength(1);
    expect(answers.filter(([status]) => status === 429)).toHaveLength(99);
    expect(await attempt(one, RIGHT)).toEqual([429, 'locked-out', HOUR]);
    expect(one.compared).toHaveLength(1);
    for (const [scope, whom] of [['account', account] as const, ['address', HOME] as const])
      expect((await stateOf(one, scope, whom)).state.failures).toBe(100);
  });

  it('that come together to several processes all count, and buy one comparison of each (C2)', async () => {
    const processes = [await startProcess(), await startProcess()];
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => attempt(processes[index % 2] as Process, WRONG, `192.0.2.${index}`)),
    );
    for (const each of processes) {
      expect(each.compared.length).toBeLessThanOrEqual(1);
      expect((await stateOf(each, 'account', account)).state.failures).toBe(40);
      expect(await attempt(each, RIGHT, '198.51.100.1')).toEqual([429, 'locked-out', HOUR]);
    }
  });

  it('are remembered by a process that knows nothing but the log, whatever its clock says', async () => {
    await attempt(await startProcess(), WRONG);
    expect(await attempt(await startProcess(), RIGHT)).toEqual([429, 'locked-out', 30]);
    now_ms -= HOUR * 1_000;
    expect((await attempt(await startProcess(), RIGHT))[0]).toBe(429);
  });

  it('are not counted under a known lock when the clock is set back', async () => {
    const one = await startProcess();
    await attempt(one, WRONG);
    now_ms -= HOUR * 1_000;
    expect(await attempt(one, RIGHT)).toEqual([429, 'locked-out', 30]);
    expect((await stateOf(one, 'account', account)).state.failures).toBe(1);
  });

  it('count for a whole network of IPv6, and for the address whatever the account', async () => {
    const one = await startProcess();
    await attempt(one, WRONG, '2001:db8:1:2::1');
    account = `operator:${randomUUID()}`;
    const other = await startProcess();
    expect(await attempt(other, RIGHT, '2001:db8:1:2:ffff::2')).toEqual([429, 'locked-out', 30]);
    expect(await attempt(other, RIGHT, '2001:db8:1:3::1')).toEqual([200]);
  });

  it('are bounded while nothing can be written, and the right one still opens (C4)', async () => {
    const one = await startProcess();
    one.log.refuseWrites('the spec says so');
    expect(await attempt(one, RIGHT)).toEqual([200]);
    for (const step of STEPS) {
      const began_ms = now_ms;
      expect(await attempt(one, WRONG)).toEqual([401, 'operator-key-invalid', step]);
      expect(await attempt(one, RIGHT)).toEqual([429, 'locked-out', step]);
      now_ms = began_ms + step * 1_000;
    }
    expect(await attempt(one, RIGHT)).toEqual([200]);
    expect((await stateOf(one, 'account', account)).revision).toBe(0);
  });
});

describe('an API token', () => {
  const operator = () =>
    ({ kind: 'session', actor: account, credential_id: 'ses_none', expires_at_ms: Infinity }) as const;
  const body = { name: 'spec', scopes: ['missions:read' as const], rank_ceiling: 'C' as const, expires_in_days: 1 };
  const codeOf = async ({ tokens }: Process, token: string): Promise<string> => {
    try {
      return (await tokens.authenticate(token)).kind;
    } catch (error) {
      if (error instanceof Problem) return error.code;
      throw error;
    }
  };

  it('counts in a process that knows nothing but the log, with what it may do', async () => {
    const { token, document } = await (await startProcess()).tokens.issue(operator(), body);
    const principal = await (await startProcess()).tokens.authenticate(token);
    expect(principal).toEqual({
      ...{ kind: 'token', actor: `token:${document.token_id}`, credential_id: document.token_id },
      ...{ expires_at_ms: Date.parse(document.expires_at), scopes: ['missions:read'], rank_ceiling: 'C' },
    });
  });

  it('is refused with another secret, id or form (B1)', async () => {
    const one = await startProcess();
    const { token, document } = await one.tokens.issue(operator(), body);
    const { token: other } = await one.tokens.issue(operator(), body);
    for (const wrong of [
      token.slice(0, -1),
      `${token}A`,
      token.slice(0, -43) + other.slice(-43),
      token.replace(document.token_id, 'tok_01890000-0000-7000-8000-000000000000'),
      token.replace('nx_', 'nx'),
      token.toUpperCase(),
      'nx_',
    ])
      expect([wrong, await codeOf(one, wrong)]).toEqual([wrong, 'credential-invalid']);
  });

  it('ends in a process that is told, and in one that is not within 5 s (B2)', async () => {
    const [one, told, untold] = [await startProcess(), await startProcess(), await startProcess()];
    const { token, document } = await one.tokens.issue(operator(), body);
    for (const each of [told, untold]) expect(await codeOf(each, token)).toBe('token');
    await one.tokens.revoke(operator(), document.token_id);
    expect(await codeOf(one, token)).toBe('token-ended');
    told.tokens.forget(document.token_id);
    expect(await codeOf(told, token)).toBe('token-ended');
    const revoked_ms = performance.now();
    while ((await codeOf(untold, token)) !== 'token-ended') await new Promise((wake) => setTimeout(wake, 100));
    expect(performance.now() - revoked_ms).toBeLessThan(5_000);
  });

  it('is nothing once it has expired', async () => {
    now_ms -= 10 * 86_400_000; // The log of the past: there it is issued for a day.
    const past = await startProcess();
    const token_id = newId('tok');
    const secret = randomBytes(32).toString('base64url');
    const secret_digest = createHmac('sha256', pepper).update(`token/${token_id}/${secret}`).digest('hex');
    const { expires_in_days, ...rest } = body;
    const expires_at = new Date(now_ms + expires_in_days * 86_400_000).toISOString();
    const data = { ...rest, token_id, account, expires_at, secret_digest };
    const command = { type: 'IssueToken', actor: account, data } as const;
    const ids = { command_id: newId('cmd'), correlation_id: token_id };
    const key_id = await service.app.get(Keyring, { strict: false }).forOwner(account);
    await past.log.execute(tokenAggregate, token_id, { ...ids, command }, { key_id });
    expect(await codeOf(await startProcess(), `nx_${token_id}_${secret}`)).toBe('token-ended');
  });

  it('of another account is not there to be revoked', async () => {
    const one = await startProcess();
    const { document } = await one.tokens.issue(operator(), body);
    const stranger = { ...operator(), actor: 'operator:stranger' };
    await expect(one.tokens.revoke(stranger, document.token_id)).rejects.toThrow(/token-not-found/);
  });
});
