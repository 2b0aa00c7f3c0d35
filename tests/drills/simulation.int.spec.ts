// Simulated schedules: see tests/simulation. A failure names its seed and path, and with these `npm run drill` runs
// that very schedule again.

import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { Scenario } from '../simulation/simulation.js';
import { drill, type Round } from '../support/drill.js';

// What waits through Node's module waits for the simulated clock as well.
jest.unstable_mockModule('node:timers/promises', () => ({
  setTimeout: (ms: number, value: unknown) => new Promise((resolve) => setTimeout(() => resolve(value), ms)),
  setImmediate: () => new Promise<void>((resolve) => void setImmediate(resolve)),
}));
const { anyScenario, simulate } = await import('../simulation/simulation.js');

/** So many of the last steps of a failing schedule are told. */
const TOLD_STEPS = 60;

class Broken extends Error {}

describe('simulated schedules', () => {
  const P20 = {
    promise: 'P20',
    title: 'whatever is interrupted at any step goes on by itself; P17, P21 and P30 hold in every schedule',
    rounds: { test: 300, drill: 100_000 },
    minutes: { test: 5, drill: 240 },
  };

  it('give back the slots of attempts that were released (C3 of claims.ts)', async () => {
    const pair = {
      rank: 'E',
      shape: 'pair',
      hold: false,
      tries: 1,
      wait: false,
      limited: false,
      patron: true,
    } as const;
    const wish = { ...pair, timeout_seconds: 10 } as const;
    const kept: Scenario = {
      ...{ missions: [wish, wish], verbs: [], behaviours: ['hangs'] },
      faults: [{ at: 69, kind: 'leap 5 h' }],
    };
    const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      expect((await simulate(scheduler, kept)).broken).toEqual([]);
    });
    await fc.assert(property, { seed: -1_995_598_158, numRuns: 5, endOnFailure: true });
  });

  drill(P20, async ({ n, seed, path, full, fail, figure }: Round) => {
    const figures = new Map<string, number>();
    let last: readonly string[] = [];
    const property = fc.asyncProperty(fc.scheduler(), anyScenario, async (scheduler, scenario) => {
      try {
        const { broken, counts } = await simulate(scheduler, scenario);
        for (const [name, count] of counts) figures.set(name, (figures.get(name) ?? 0) + count);
        if (broken.length > 0) throw new Broken(broken.join('\n'));
      } finally {
        last = scheduler.report().map(({ label }) => label);
      }
    });
    const found = await fc.check(property, {
      ...{ seed, numRuns: n, endOnFailure: !full },
      ...(path === undefined ? {} : { path }),
    });
    for (const [name, count] of figures) figure(name, count);
    if (!found.failed) return;
    const what = found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance);
    const again = `--seed ${seed} --path ${found.counterexamplePath}`;
    const scenario = JSON.stringify(found.counterexample?.[1]);
    fail([what, `again: npm run drill -- --only P20 ${again}`, scenario, ...last.slice(-TOLD_STEPS)].join('\n'));
  });

  it('come again, step by step, by their seed', async () => {
    const steps = async () => {
      const all: string[] = [];
      const property = fc.asyncProperty(fc.scheduler(), anyScenario, async (scheduler, scenario) => {
        await simulate(scheduler, scenario);
        all.push(...scheduler.report().map(({ label }) => label));
      });
      await fc.assert(property, { seed: 7, numRuns: 5 });
      return all;
    };
    const first = await steps();
    expect(first.length).toBeGreaterThan(500);
    expect(await steps()).toEqual(first);
  });
});
