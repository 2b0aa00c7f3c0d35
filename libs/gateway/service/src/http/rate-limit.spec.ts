import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RateLimit } from './rate-limit.js';

const limitOf = (per_second: number) => {
  const clock = { now_ms: 0 };
  return { clock, limit: new RateLimit('address', per_second, () => clock.now_ms) };
};

describe('a rate limit', () => {
  it('lets so many through at once, then so many a second, and says what is left', () => {
    const { clock, limit } = limitOf(20);
    const taken = Array.from({ length: 25 }, () => limit.take('a'));
    expect(taken.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 25 }, (_, index) => index < 20));
    expect(taken[0]?.headers).toEqual({ 'ratelimit-policy': '"address";q=20;w=1', ratelimit: '"address";r=19;t=1' });
    expect(taken[24]?.headers).toMatchObject({ ratelimit: '"address";r=0;t=1', 'retry-after': '1' });
    clock.now_ms += 100;
    expect([1, 2, 3].map(() => limit.take('a').allowed)).toEqual([true, true, false]);
    clock.now_ms += 3_600_000;
    const later = Array.from({ length: 25 }, () => limit.take('a'));
    expect(later.filter(({ allowed }) => allowed)).toHaveLength(20);
  });

  it('counts each key by itself', () => {
    const { limit } = limitOf(1);
    expect([limit.take('a'), limit.take('a'), limit.take('b')].map(({ allowed }) => allowed)).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('says what is left without taking any of it', () => {
    const { limit } = limitOf(2);
    for (let times = 0; times < 5; times += 1) expect(limit.look('a').allowed).toBe(true);
    expect([1, 2, 3].map(() => limit.take('a').allowed)).toEqual([true, true, false]);
    expect(limit.look('a')).toMatchObject({ allowed: false, headers: { 'retry-after': '1' } });
  });

  it('lets no more through in any second than twice its rate, and no less than its rate in the long run', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.integer({ min: 0, max: 300 })), (rate, gaps) => {
        const { clock, limit } = limitOf(rate);
        const allowed = gaps.filter((gap) => {
          clock.now_ms += gap;
          return limit.take('a').allowed;
        }).length;
        expect(allowed).toBeLessThanOrEqual(Math.floor(rate + (clock.now_ms / 1_000) * rate) + 1e-6);
        expect(allowed).toBeGreaterThanOrEqual(Math.min(gaps.length, rate));
      }),
    );
  });
});
