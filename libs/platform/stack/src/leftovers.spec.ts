import { afterAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, recordOf, startFromStat } from './identity.js';
import { endLeftovers, ourName, parseRecords, writeRecords } from './leftovers.js';

const folder = mkdtempSync(join(tmpdir(), 'nexusmon-leftovers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sleeper = (...args: string[]) =>
  spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', '--', ...args], { stdio: 'ignore' });

describe('a process', () => {
  it('is told by its start time, whatever its name holds', () => {
    const fields = Array.from({ length: 30 }, (_, index) => String(index + 3));
    expect(startFromStat(`12 (a) b) (c) S ${fields.slice(1).join(' ')}`)).toBe('22');
    expect(startFromStat(`12 (x) Z ${fields.slice(1).join(' ')}`)).toBeUndefined();
  });

  it('is not another one that has its pid (I1)', () => {
    const self = recordOf('self', process.pid);
    expect(self && isAlive(self)).toBe(true);
    expect(isAlive({ name: 'self', pid: process.pid, started: '1' })).toBe(false);
  });
});

describe('what an earlier run left', () => {
  it.each([
    { text: undefined, reason: 'there is no list' },
    { text: '[{"name":"nats","pi', reason: 'the list was cut off' },
    { text: '{"name":"nats"}', reason: 'it is no list' },
    {
      text: '[{"name":"nats","pid":"7","started":"1"},{"name":"x","pid":1,"started":"1"},null]',
      reason: 'nothing in it is a record',
    },
  ])('is nothing when $reason', ({ text }) => {
    expect(parseRecords(text)).toEqual([]);
  });

  it.each([
    { args: ['nats-server', '--config', '/d/nats/nats.conf'], name: 'nats' },
    { args: ['nats-server', '--config', '/d2/nats/nats.conf'], name: undefined },
    { args: ['minio', 'server', '/d/minio/store'], name: 'minio' },
    { args: ['node', '--enable-source-maps', '/c/apps/gateway/dist/main.js', '--data-dir', '/d'], name: 'service' },
    { args: ['node', '/c/apps/gateway/dist/main.js', '--data-dir', '/d2'], name: undefined },
    { args: ['vim', '--data-dir', '/d'], name: undefined },
    { args: ['tail', '-f', '/d/logs/nats.log'], name: undefined },
  ])('is told by its whole arguments: $args', ({ args, name }) => {
    expect(ourName(args, '/d')).toBe(name);
  });

  it('is ended, recorded or not, and nothing else is', async () => {
    const recorded = sleeper();
    const unrecorded = sleeper('/c/dist/main.js', '--data-dir', folder);
    const stranger = sleeper('--data-dir', folder);
    await Promise.all([recorded, unrecorded, stranger].map((child) => once(child, 'spawn')));
    const record = recordOf('standalone', recorded.pid ?? 0);
    const reused = { name: 'nats', pid: stranger.pid ?? 0, started: '1' };
    writeRecords(folder, record ? [record, reused] : []);

    const ended = Promise.all([once(recorded, 'exit'), once(unrecorded, 'exit')]);
    expect((await endLeftovers(folder, undefined)).sort()).toEqual(['service', 'standalone']);
    await ended;
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill('SIGKILL');
    await once(stranger, 'exit');
  });
});
