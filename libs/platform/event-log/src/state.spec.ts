import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CommandIdsExhausted } from './errors.js';
import { keyedId, newId } from './ids.js';
import { SeenCommands } from './seen-commands.js';
import { carry, nothingSince, openCarried, readBefore, type Since } from './state.js';

const subject = 'evt.10.mission.mission.msn_1';
const hash = 'a'.repeat(64);
const riding = { subject, hash, line_bytes: 1_000, version: 1, key: undefined };
/** One commit that weighs so much that any small state rides with the next. */
const due: Since = { carrier: undefined, sequences: [1], bytes: 100_000, state_bytes: 0 };
const after = (bytes: number) => ({ state: 'x'.repeat(bytes), revision: 1, seen: SeenCommands.none });

describe('carried state', () => {
  it('adds little while it is small, at most doubles what is written, and bounds every load (T2)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 100, max: 60_000 }), (size, line_bytes) => {
        let since: Since = nothingSince;
        let [lines, states, longest] = [0, 0, 0];
        for (let sequence = 1; sequence <= 200; sequence += 1) {
          const carriage = carry(since, after(size), { ...riding, line_bytes });
          expect(carriage.header === 'self').toBe(carriage.line !== undefined);
          if (carriage.line === undefined) longest = Math.max(longest, carriage.header.split(',').length);
          lines += line_bytes;
          states += carriage.line?.length ?? 0;
          since = carriage.since(sequence);
        }
        const small = size < 8_000;
        // With the last one itself, as many commits are read at once as `since_max` says.
        expect(longest).toBeLessThanOrEqual(small ? 7 : 15);
        // After that many light commits it rides even if they weigh less: a load is bounded before the writing is.
        if (small && line_bytes * 7 >= size * 4) expect(states).toBeLessThanOrEqual(lines * 0.3 + size);
        if (size > 8_192 && line_bytes * 15 >= size) expect(states).toBeLessThanOrEqual(lines * 1.2 + size);
      }),
      { numRuns: 60 },
    );
  });

  it('names the commits that a load needs', () => {
    const first = carry(nothingSince, after(100_000), riding);
    expect([first.header, carry(nothingSince, after(10), riding).header]).toEqual(['-', '-']);
    const second = carry(first.since(4), after(100_000), riding);
    expect([second.header, readBefore(second.header)]).toEqual(['-,4', { carrier: undefined, sequences: [4] }]);
    const carried = { carrier: 9, sequences: [12, 15], bytes: 0, state_bytes: 100_000 };
    const third = carry(carried, after(100_000), riding);
    expect(readBefore(third.header)).toEqual({ carrier: 9, sequences: [12, 15] });
    for (const other of ['self', 'walk', '', 'x', '1,,2', '1,-']) expect(readBefore(other)).toBeUndefined();
  });

  it('is no longer listed when it has not been carried for very long', () => {
    let since: Since = nothingSince;
    for (let sequence = 1; sequence <= 300; sequence += 1) since = carry(since, after(600_000), riding).since(sequence);
    expect(carry(since, after(600_000), riding).header).toBe('walk');
    expect(carry(since, after(10), riding).header).toBe('self');
  });

  it('opens as it was, sealed where there is a key, and only in its own commit', () => {
    const key = { key_id: 'key_1', secret: createSecretKey(randomBytes(32)) };
    const seen = SeenCommands.none.with([{ command_id: keyedId('cmd', 'a') }]);
    const state = { goal: 'a private word', list: [1, 2] };
    const { line = '' } = carry(due, { state, revision: 3, seen }, { ...riding, key });
    expect(line).not.toContain('private');
    const opened = openCarried(line, { subject, hash, version: 1, secret: key.secret });
    expect(opened).toMatchObject({ state, revision: 3 });
    expect(opened?.seen.find({ command_id: keyedId('cmd', 'a') })).toBe('same');
    expect(() => openCarried(line, { subject, hash: 'b'.repeat(64), version: 1, secret: key.secret })).toThrow();
    expect(openCarried(line, { subject, hash, version: 2, secret: key.secret })).toBeUndefined();
    expect(openCarried(line, { subject, hash, version: 1, secret: undefined })).toBeUndefined();
  });

  it('does not ride once its key has been destroyed', () => {
    expect(carry(due, after(10), { ...riding, key: 'destroyed' })).toMatchObject({
      header: '-,1',
      line: undefined,
    });
  });
});

describe('commands that were seen', () => {
  it('are remembered for good when keyed, for a while when not (C1, C2)', () => {
    const keyed = Array.from({ length: 500 }, (_, index) => ({ command_id: keyedId('cmd', String(index)) }));
    const unkeyed = Array.from({ length: 100 }, () => ({ command_id: newId('cmd') }));
    const seen = SeenCommands.fromJson(SeenCommands.none.with(keyed).with(unkeyed).toJson());
    expect(keyed.every((command) => seen.find(command) === 'same')).toBe(true);
    expect(unkeyed.map((command) => seen.find(command))).toEqual([
      ...Array.from({ length: 36 }, () => 'unseen'),
      ...Array.from({ length: 64 }, () => 'same'),
    ]);
    expect(seen.keyed_count).toBe(500);
  });

  it('tell a repeat from another request under the same id', () => {
    const command_id = keyedId('cmd', 'a');
    const digests = [undefined, 'a'.repeat(64), 'b'.repeat(64)];
    for (const first of digests)
      for (const again of digests) {
        const seen = SeenCommands.fromJson(SeenCommands.none.with([{ command_id, request_digest: first }]).toJson());
        const same = first === undefined || again === undefined || first === again;
        expect(seen.find({ command_id, request_digest: again })).toBe(same ? 'same' : 'other');
      }
  });

  it('have an error of their own when there is no room', () => {
    expect(new CommandIdsExhausted(subject, 4_096).message).toContain('4096');
  });
});
