import { describe, expect, it } from '@jest/globals';
import { isKeyed } from '@nexusmon/event-log';
import type { FastifyRequest } from 'fastify';
import { commandOf, CommandsInFlight } from './commands.js';
import type { Principal } from './route.js';

const principal: Principal = { kind: 'session', actor: 'operator:owner', credential_id: 'ses_1', expires_at_ms: 0 };

/** A request as far as a command looks at it. */
const requestWith = (key: string | undefined) =>
  ({ raw: { headersDistinct: key === undefined ? {} : { 'idempotency-key': [key] } } }) as unknown as FastifyRequest;

const command = (key: string | undefined, raw_body: unknown = { a: 1 }, actor = principal.actor, ...name: string[]) =>
  commandOf({ principal: { ...principal, actor }, request: requestWith(key), raw_body }, 'mission.create', ...name);

describe('a command', () => {
  it('with the same key is the same command, and makes the same thing (I1)', () => {
    const [one, two] = [command('k'), command('k')];
    expect(one.asked).toEqual(two.asked);
    expect(one.idOf('msn')).toBe(two.idOf('msn'));
    expect(isKeyed(one.asked.command_id)).toBe(true);
  });

  it.each([
    ['another key', command('l')],
    ['another principal', command('k', { a: 1 }, 'operator:other')],
    ['another thing', command('k', { a: 1 }, principal.actor, 'msn_1')],
    ['no key', command(undefined)],
  ])('with %s is another (I1)', (_, other) => {
    expect(other.asked.command_id).not.toBe(command('k').asked.command_id);
    expect(other.idOf('msn')).not.toBe(command('k').idOf('msn'));
  });

  it('tells bodies apart by what they say, not by how it is written (I2)', () => {
    const digest = (body: unknown) => command('k', body).asked.request_digest;
    expect(digest({ a: 1, b: 2 })).toBe(digest({ b: 2, a: 1 }));
    const none = commandOf({ principal, request: requestWith('k'), raw_body: undefined }, 'mission.create');
    expect(none.asked.request_digest).toBe(digest({}));
    expect(digest({ a: 1 })).not.toBe(digest({ a: 2 }));
  });

  it('without a key is remembered by nobody', () => {
    expect(command(undefined).asked).not.toHaveProperty('request_digest');
  });
});

describe('commands in flight', () => {
  it('refuse the same one until it is answered, and another body under its key', async () => {
    const in_flight = new CommandsInFlight();
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = in_flight.run(command('k'), () => promise);
    const again = () => in_flight.run(command('k'), () => Promise.resolve('again'));
    await expect(again()).rejects.toMatchObject({ code: 'request-in-flight', status: 409 });
    const other = in_flight.run(command('k', { a: 2 }), () => Promise.resolve('other'));
    await expect(other).rejects.toMatchObject({ code: 'idempotency-key-reused', status: 422 });
    resolve('first');
    expect(await first).toBe('first');
    expect(await again()).toBe('again');
  });

  it('forget one that failed: a failed try is not an answer (I3)', async () => {
    const in_flight = new CommandsInFlight();
    await expect(in_flight.run(command('k'), () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await in_flight.run(command('k'), () => Promise.resolve('done'))).toBe('done');
  });
});
