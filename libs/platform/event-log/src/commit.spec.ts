import { createSecretKey, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { headers as newHeaders } from '@nats-io/nats-core';
import type { Keyring } from '@nexusmon/keys';
import { sealed, type Catalogue } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { z } from 'zod';
import { canonical, sha256Hex } from './canonical.js';
import { EventCodec } from './codec.js';
import { Catalogues, decodeCommit, leavesOf, StoredCommit, writeHeaders, type LogMessage } from './commit.js';
import { CommitUnreadable, UnknownEventVersion } from './errors.js';
import { newId } from './ids.js';
import { keyringInMemory } from './log.fixture.js';
import { subjectOf } from './names.js';

const id = 'msn_1';
const subject = subjectOf('mission', 'mission', id);
const stream = { number: 0, name: 'NEXUSMON_EVENTS_0', incarnation: '0123456789ab' };
const first = z.strictObject({ goal: sealed(z.string()) });
const second = z.strictObject({ goal: sealed(z.string()), rank: z.string() });
const rename = (data: Record<string, unknown>) => ({ ...data, rank: 'E' });
const old: Catalogue = { Made: { versions: [first], upcasts: [] } };
const now: Catalogue = { Made: { versions: [first, second], upcasts: [rename] } };
const keyring: Keyring = keyringInMemory();
let key_id: string;
beforeAll(async () => {
  key_id = await keyring.take();
});

const commandHeaders = (changes: object = {}) =>
  writeHeaders({
    stream: stream.name,
    expected: 0,
    commands: [{ command_id: newId('cmd') }],
    previous: '',
    state: 'self',
    key_id: undefined,
    ...changes,
  });
const message = (body: string | Uint8Array, changes: Partial<LogMessage> = {}): LogMessage => ({
  subject,
  seq: 7,
  data: Buffer.from(body),
  headers: commandHeaders(),
  ...changes,
});
const read = (stored: LogMessage, events: Catalogue = now) =>
  decodeCommit(stored, new Catalogues([{ context: 'mission', name: 'mission', events }]), keyring, stream);

const written = async (events: Catalogue, data: object): Promise<string> => {
  const secret = await keyring.get(key_id);
  if (!secret) throw new Error('no key');
  const stamp = { subject, id, command_id: newId('cmd'), correlation_id: id, traceparent: undefined };
  const event = { type: 'Made', actor: 'operator:ada', time: '2026-11-20T10:00:00.000Z', data };
  const { bytes } = new EventCodec('mission', events).encode(event, 0, 0, { ...stamp, key: { key_id, secret } });
  return `[${bytes.toString()}]`;
};

describe('a recorded event', () => {
  it('is read in its latest version whatever it was written in', async () => {
    const [event] = await read(message(await written(old, { goal: 'g' }))).open();
    expect(event).toMatchObject({ name: 'Made', version: 1, index: 0, data: { goal: 'g', rank: 'E' } });
    const [newer] = await read(message(await written(now, { goal: 'g', rank: 'S' }))).open();
    expect(newer).toMatchObject({ version: 2, type: 'nexusmon.mission.Made.v2', data: { goal: 'g', rank: 'S' } });
  });

  it('of a version, type or aggregate that is not known here halts whoever wants it, and nobody else', async () => {
    const body = await written(now, { goal: 'g', rank: 'S' });
    await expect(read(message(body), old).open()).rejects.toThrow(UnknownEventVersion);
    await expect(read(message(body), {}).open()).rejects.toThrow(UnknownEventVersion);
    const elsewhere = message(body, { subject: subjectOf('vault', 'artifact', id) });
    await expect(read(elsewhere).open()).rejects.toThrow(UnknownEventVersion);
    expect(await read(message(body), old).open(({ name }) => name !== 'Made')).toEqual([]);
  });

  it('is not opened for one who does not want it', async () => {
    const commit = read(message(await written(now, { goal: 'g', rank: 'S' })));
    expect(commit.stored[0]?.data).toMatchObject({ goal: { $sealed: expect.stringContaining(key_id) } });
    expect(await commit.open(() => false)).toEqual([]);
  });

  it('has its canonical bytes as they were written', async () => {
    const body = await written(now, { goal: 'g', rank: 'S' });
    expect(canonical(JSON.parse(body))).toBe(body);
    const commit = read(message(`${body}\n{"state":1}`));
    expect([commit.hash, commit.carried]).toEqual([sha256Hex(body), '{"state":1}']);
    expect(commit.position()).toBe('0.0123456789ab.7.0');
  });

  it.each([
    ['a version without its upcast', { Made: { versions: [first, second], upcasts: [] } }],
    ['a name that no type can have', { made: { versions: [first], upcasts: [] } }],
  ])('cannot belong to a catalogue with %s', (_, catalogue) => {
    expect(() => new EventCodec('mission', catalogue as unknown as Catalogue)).toThrow(TypeError);
  });
});

describe('what is not a commit', () => {
  it.each([
    ['empty', ''],
    ['no JSON', 'x'],
    ['no array', '{}'],
    ['no event', '[]'],
    ['no object', '[1]'],
    ['null', '[null]'],
    ['no data', '[{"id":"evt_1"}]'],
    ['another shape', '[{"data":{},"type":1}]'],
    ['invalid UTF-8', Buffer.from([0x5b, 0xff, 0x5d])],
  ])('is refused when its body is %s', async (_, body) => {
    const commit = read(message(body));
    expect(() => commit.stored).toThrow(CommitUnreadable);
    await expect(commit.open()).rejects.toThrow(CommitUnreadable);
  });

  it('is refused by its subject or schema before anything is parsed', () => {
    for (const changes of [{ subject: 'evt.00.x' }, { subject: 'cmd.mission.create' }, { headers: undefined }])
      expect(() => read(message('[]', changes))).toThrow(CommitUnreadable);
    const other = newHeaders();
    other.set('Nexusmon-Schema', '2');
    expect(() => read(message('[]', { headers: other }))).toThrow(CommitUnreadable);
  });

  it('is refused with a named error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const commit = new StoredCommit(message(bytes));
        expect(() => commit.stored).toThrow(CommitUnreadable);
      }),
    );
  });
});

describe('the leaves of a commit', () => {
  it('are the stored bytes of each event', () => {
    const events = fc.array(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ stringUnit: 'grapheme' })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(events, (values) => {
        const texts = values.map((value) => JSON.stringify(value));
        const leaves = leavesOf(Buffer.from(`[${texts.join(',')}]`)).map((leaf) => Buffer.from(leaf).toString());
        expect(leaves).toEqual(texts);
      }),
    );
  });
});

describe('the headers of a commit', () => {
  it('name commands with their digests, and are read as they were written', () => {
    const commands = [{ command_id: newId('cmd'), request_digest: 'a'.repeat(64) }, { command_id: newId('cmd') }];
    const commit = new StoredCommit(
      message('[]', {
        headers: commandHeaders({ commands, expected: 5, previous: 'b'.repeat(64), state: '3,4', key_id: 'key_1' }),
      }),
    );
    expect(commit.commands).toEqual([commands[0], { ...commands[1], request_digest: undefined }]);
    expect([commit.expected, commit.previous, commit.state, commit.key_id]).toEqual([
      5,
      'b'.repeat(64),
      '3,4',
      'key_1',
    ]);
  });
});

describe('a key', () => {
  it('that is not of the process that sealed opens nothing', async () => {
    const body = await written(now, { goal: 'g', rank: 'S' });
    const strangers = { get: () => Promise.resolve(createSecretKey(randomBytes(32))), peek: () => undefined };
    const commit = decodeCommit(
      message(body),
      new Catalogues([{ context: 'mission', name: 'mission', events: now }]),
      strangers as unknown as Keyring,
      stream,
    );
    await expect(commit.open()).rejects.toThrow('does not open');
  });
});
