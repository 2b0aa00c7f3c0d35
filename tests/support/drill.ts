// A drill tries a promise under faults, many times over.
//
//   D1. The same code runs in `npm test`, with few rounds, and in `npm run drill`, with as many as the promise names.
//   D2. What happens in it is drawn from its seed alone, so that a failure can be run again.
//   D3. Each drill has a build in which the rule it tries is broken, and must fail there: a test of the test.
//   D4. It ends with one line of figures, whether it held or not; a drill without a round has proved nothing.

import { appendFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import type { BrokenBuild } from './product.js';

export type Round = Readonly<{
  /** The build to try: whole, where nothing is said. */
  broken: BrokenBuild | undefined;
  seed: number;
  /** Of one failure, as a drill of fast-check named it: only that is run again. */
  path: string | undefined;
  /** Whether it runs for its own sake, with time to look for the smallest failure. */
  full: boolean;
  /** How many rounds are asked for. */
  n: number;
  /** The next number in [0, 1) of the seed. */
  random: () => number;
  /** What did not hold. The drill goes on, so that one run tells how often. */
  fail: (what: string) => void;
  /** What was counted or measured beside failures. */
  figure: (name: string, value: number | string) => void;
}>;

export type Promised = Readonly<{
  /** As `npm run drill -- --only` names it. */
  promise: string;
  title: string;
  /** Rounds in `npm test`, and in `npm run drill`. */
  rounds: Readonly<{ test: number; drill: number }>;
  /** Generous: it only catches what hangs. */
  minutes: Readonly<{ test: number; drill: number }>;
  /** Builds in which it must fail, with how many rounds are enough to see it. */
  broken?: readonly (BrokenBuild & { rounds: number })[];
}>;

type Outcome = Readonly<{
  failed: number;
  told: readonly string[];
  figures: Readonly<Record<string, number | string>>;
  /** Where it could not go on, which shows nothing about a rule. */
  stopped?: string;
}>;

const RESULTS = process.env['NEXUSMON_DRILL_RESULTS'];
const SEED = Number(process.env['NEXUSMON_DRILL_SEED'] ?? 1_234);
const PATH = process.env['NEXUSMON_DRILL_PATH'];
const ROUNDS = process.env['NEXUSMON_DRILL_ROUNDS'];
/** So many failures are told in full; the rest is counted. */
const TOLD = 20;

/** A small generator with a seed (mulberry32). */
export const randomOf = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
};

const outcomeOf = async (
  run: (round: Round) => Promise<void>,
  n: number,
  broken: BrokenBuild | undefined,
): Promise<Outcome> => {
  const told: string[] = [];
  const figures: Record<string, number | string> = {};
  let failed = 0;
  const fail = (what: string) => {
    failed += 1;
    if (told.length < TOLD) told.push(what);
  };
  const figure = (name: string, value: number | string) => {
    figures[name] = value;
  };
  try {
    await run({ broken, seed: SEED, path: PATH, full: RESULTS !== undefined, n, random: randomOf(SEED), fail, figure });
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const expected = error instanceof Error && 'matcherResult' in error;
    fail(expected ? what : `could not go on: ${what}`);
    if (!expected) return { failed, told, figures, stopped: what };
  }
  return { failed, told, figures };
};

/** Declares the tests. `run` reports through its round, and throws only where it cannot go on. */
export const drill = (promised: Promised, run: (round: Round) => Promise<void>): void => {
  const { promise, title, broken = [] } = promised;
  const full = RESULTS !== undefined;
  const n = Number(ROUNDS ?? (full ? promised.rounds.drill : promised.rounds.test));
  const milliseconds = promised.minutes[full ? 'drill' : 'test'] * 60_000;

  const whole = async (): Promise<void> => {
    expect(n).toBeGreaterThan(0);
    const since = performance.now();
    const { failed, told, figures } = await outcomeOf(run, n, undefined);
    const seconds = Number(((performance.now() - since) / 1_000).toFixed(1));
    const line = { promise, title, seed: SEED, n, failures: failed, seconds, ...figures };
    if (RESULTS) appendFileSync(RESULTS, `${JSON.stringify({ ...line, ...(failed > 0 ? { told } : {}) })}\n`);
    expect({ ...line, told }).toEqual({ ...line, failures: 0, told: [] });
  };
  it(`${promise}: ${title} (${n} rounds, seed ${SEED})`, whole, milliseconds);

  for (const { rounds, ...build } of broken) {
    const noticed = async (): Promise<void> => {
      const { failed, stopped } = await outcomeOf(run, rounds, build);
      expect(stopped).toBeUndefined();
      expect(failed).toBeGreaterThan(0);
    };
    it(`${promise} is not kept, and that is noticed, with ${build.rule}`, noticed, milliseconds);
  }
};
