import { describe, expect, it } from '@jest/globals';
import { command_id, event_id } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { eventId, isKeyed, keyedId, newId } from './ids.js';
import { parseSubject, partitionOf, streamOf, streamSubjects, subjectOf } from './names.js';

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);

describe('an id', () => {
  it('is a UUIDv7 when new, a UUIDv8 when keyed', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (parts) => {
        const id = keyedId('cmd', ...parts);
        expect(command_id.safeParse(id).success).toBe(true);
        expect(isKeyed(id)).toBe(true);
        expect(keyedId('cmd', ...parts)).toBe(id);
      }),
    );
    expect(command_id.safeParse(newId('cmd')).success).toBe(true);
    expect(isKeyed(newId('cmd'))).toBe(false);
  });

  it('differs where the parts differ, wherever they are cut', () => {
    expect(
      new Set([keyedId('a', 'b', 'c'), keyedId('a', 'bc'), keyedId('a', 'b,c'), keyedId('a', 'c', 'b')]).size,
    ).toBe(4);
  });

  it('of an event follows from its command and its place, for ever', () => {
    const command = 'cmd_0190b6c1-0000-7000-8000-000000000001';
    expect(eventId(command, 0)).toBe('evt_40cd4b18-9f27-8d5d-8fb5-396c6c5b3ca0');
    expect(event_id.safeParse(eventId(command, 1)).success).toBe(true);
    expect(eventId(command, 1)).not.toBe(eventId(command, 0));
  });
});

describe('a subject', () => {
  it('names context, aggregate and id, and is read back as them', () => {
    fc.assert(
      fc.property(token, (id) => {
        const subject = subjectOf('mission', 'mission', id);
        expect(parseSubject(subject)).toEqual({ context: 'mission', aggregate: 'mission', id });
      }),
    );
  });

  it('has the partition of its id, for ever', () => {
    expect(subjectOf('mission', 'mission', 'msn_0190b6c1-0000-7000-8000-000000000001')).toBe(
      'evt.10.mission.mission.msn_0190b6c1-0000-7000-8000-000000000001',
    );
  });

  it.each(['', 'a.b', 'a b', '*', '>', 'a\nb', 'ü', 'x'.repeat(129)])('is not made of the id %j', (id) => {
    expect(() => subjectOf('mission', 'mission', id)).toThrow(RangeError);
  });

  it.each(['evt.00.a.b', 'evt.64.a.b.c', 'cmd.47.a.b.c', 'evt.99.mission.mission.x', 'evt.0.a.b.c.d', ''])(
    'is not %j',
    (subject) => expect(parseSubject(subject)).toBeUndefined(),
  );
});

describe('a stream', () => {
  it.each([1, 2, 3, 4, 8, 64])('owns its share of the partitions, when there are %d', (count) => {
    const owned = Array.from({ length: count }, (_, number) => streamSubjects(number, count));
    if (count === 1) expect(owned).toEqual([['evt.>']]);
    else expect(owned.flat()).toEqual(Array.from({ length: 64 }, (_, pp) => `evt.${String(pp).padStart(2, '0')}.>`));
    fc.assert(
      fc.property(token, (id) => {
        const number = streamOf(partitionOf(id), count);
        expect(number).toBeLessThan(count);
        if (count > 1) expect(owned[number]).toContain(`${subjectOf('a', 'b', id).slice(0, 6)}.>`);
      }),
    );
  });
});
