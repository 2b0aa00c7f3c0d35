import { describe, expect, it } from '@jest/globals';
import { UPLOAD_PART_BYTES } from '@nexusmon/vault-contract';
import fc from 'fast-check';
import { paceOf, UploadSlots } from './upload-limits.js';

const entered = (slots: UploadSlots, who: string, tries = 20): number => {
  let count = 0;
  try {
    for (; count < tries; count += 1) slots.enter(who);
  } catch (error) {
    expect(error).toMatchObject({ code: 'too-many-uploads', status: 429 });
  }
  return count;
};

const isFree = (slots: UploadSlots, who: string): boolean => {
  try {
    slots.enter(who)();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'too-many-uploads' });
    return false;
  }
};

describe('places for uploads', () => {
  it('are at most half of what the others leave', () => {
    const slots = new UploadSlots(8);
    expect(['a', 'b', 'c', 'd', 'e'].map((who) => entered(slots, who))).toEqual([4, 2, 1, 1, 0]);
    expect(entered(new UploadSlots(1), 'a')).toBe(1);
  });

  it('come back when they are left', () => {
    const slots = new UploadSlots(2);
    const leave = slots.enter('a');
    expect(entered(slots, 'a')).toBe(0);
    leave();
    expect(entered(slots, 'a')).toBe(1);
  });

  it('are never all in the hands of one, and never more than there are', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), steps, (at_once_max, done) => {
        const slots = new UploadSlots(at_once_max);
        const held = new Map<string, (() => void)[]>([...'abc'].map((who) => [who, []]));
        for (const [who, enters] of done) {
          const own = held.get(who) ?? [];
          if (!enters) own.pop()?.();
          else if (isFree(slots, who)) own.push(slots.enter(who));
          const counts = [...held.values()].map(({ length }) => length);
          expect(counts.reduce((a, b) => a + b)).toBeLessThanOrEqual(at_once_max);
          expect(Math.max(...counts)).toBeLessThan(at_once_max);
        }
      }),
    );
  });
});

describe('the pace of an upload', () => {
  it.each([1, 10, 44, 45, 60, 600, 1_800, 3_600, 604_800])(
    'brings a part before %i s without one are over, with time left for the store',
    (seconds) => {
      const { window_ms, bytes_min } = paceOf(seconds);
      expect((UPLOAD_PART_BYTES / bytes_min) * window_ms).toBeLessThan(seconds * 700);
    },
  );

  it('is 128 KiB in 30 s, and on the mean 32 KiB/s, where an hour is allowed', () => {
    const { window_ms, bytes_min, mean_bytes_min } = paceOf(3_600);
    expect([window_ms, bytes_min, mean_bytes_min / (window_ms / 1_000)]).toEqual([30_000, 128 * 1024, 32 * 1024]);
  });
});
