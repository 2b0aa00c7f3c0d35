// Real threads; mission-service is played by mission-desk.fixture.ts. `R1`–`R4` are the numbers in runner.ts, `A1`–`A3`
// those in attempt.ts.

import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Json } from '@nexusmon/kernel';
import { Signatures } from '@nexusmon/keys';
import { Unavailable } from '@nexusmon/messaging';
import { silentLogger } from '@nexusmon/telemetry';
import type { AttemptResult, WorkerManifest } from '@nexusmon/worker-contract';
import { ArtifactKeeper } from './artifact-keeper.js';
import { assignmentOf, governance, signed } from './assignment.fixture.js';
import { DeskFixture } from './mission-desk.fixture.js';
import { Runner } from './runner.js';
import { ThreadPool } from './thread-pool.js';
import { loadManifests } from './worker-catalogue.js';

const HOSTILE = fileURLToPath(new URL('hostile-workers.fixture.mjs', import.meta.url));
const SLOTS = 3;

/** Nobody answers for the vault here: artifact-keeper.int.spec.ts has a real one. */
const awayVault = { request: () => Promise.reject(new Unavailable('vault', 'nobody answers')) };

const manifests = await loadManifests([HOSTILE]);
const manifestOf = (worker: string): WorkerManifest => manifests.get(worker)!;

let desk: DeskFixture;
let runner: Runner;

const startRunner = (drain_ms = 1_500) => {
  const pool = new ThreadPool({
    ...{ modules: [HOSTILE], allowed_roots: [], forbidden_roots: [], heap_mb_max: 96, path: '/usr/bin:/bin' },
    ...{ threads_max: SLOTS, threads_kept: 1 },
  });
  const tools = {
    pool,
    keeper: new ArtifactKeeper(awayVault),
    governance: new Signatures(governance.publicKey),
    manifests,
  };
  const started = new Runner({ runner_id: 'runner-1', slots: SLOTS, drain_ms }, desk, tools, silentLogger());
  started.start();
  return started;
};

beforeEach(() => {
  desk = new DeskFixture();
  runner = startRunner();
});
afterEach(() => {
  desk.breakOff();
  return runner.stop();
});

const asked = (worker: string, input: Json = {}, timeout_seconds = 20) =>
  assignmentOf({ manifest: manifestOf(worker), input, timeout_seconds });
const run = (...given: Parameters<typeof asked>): Promise<AttemptResult> => desk.assign(asked(...given));

const failed = (code: string, message: string, retryable: boolean) => ({
  outcome: 'failed',
  error: { code, message: expect.stringContaining(message), retryable },
  duration_ms: expect.any(Number),
});
const completed = (output: Json) => ({ outcome: 'completed', output, artifacts: [], duration_ms: expect.any(Number) });
const runningIn = ({ polls }: DeskFixture) => polls.at(-1)?.running?.map(({ task_id }) => task_id) ?? [];

describe('a runner', () => {
  it('introduces itself with what it can run', async () => {
    await desk.until(({ polls }) => polls.length > 0);
    expect(desk.polls[0]).toMatchObject({ runner_id: 'runner-1', slots: SLOTS, running: [] });
    expect(desk.polls[0]?.manifests?.map(({ name }) => name)).toEqual(expect.arrayContaining(['system.echo']));
    expect(desk.polls[0]?.workers).toEqual(desk.polls[0]?.manifests?.map(({ name }) => name));
  });

  it('runs what it is handed and reports it', () =>
    expect(run('hostile.answers', { a: [1, 2] })).resolves.toEqual(completed({ a: [1, 2] })));

  it('does many one after the other on few slots', async () => {
    const inputs = Array.from({ length: 50 }, (_, index) => ({ index }));
    const results = await Promise.all(inputs.map((input) => run('hostile.answers', input)));
    expect(results).toEqual(inputs.map((input) => completed(input)));
  });

  it('offers more than its slots while its tasks are short, and runs no more than that at once (R1)', async () => {
    for (let round = 0; round < 60; round += 1) await run('hostile.answers', { round });
    await desk.until(({ polls }) => polls.some(({ slots }) => slots > SLOTS));
    expect(Math.max(...desk.polls.map(({ slots }) => slots))).toBeLessThanOrEqual(SLOTS * 4);
    const began = performance.now();
    const held = Array.from({ length: SLOTS * 3 }, () => run('hostile.takes_its_time', { ms: 400 }));
    await Promise.all(held);
    expect(performance.now() - began).toBeGreaterThanOrEqual(3 * 400);
  });

  it('is never offered for more than its slots, and goes on polling when all are taken (R1, R2)', async () => {
    const held = Array.from({ length: SLOTS }, () => run('hostile.takes_its_time', { ms: 6_000 }));
    await desk.until((seen) => runningIn(seen).length === SLOTS);
    expect(desk.polls.at(-1)?.slots).toBe(0);
    await Promise.all(held);
    await desk.until(({ polls }) => polls.at(-1)?.running?.length === 0 && polls.at(-1)!.slots > 0);
  });

  it('ends an attempt that it is told to end, and says nothing of it', async () => {
    const hanging = asked('hostile.spins');
    void desk.assign(hanging);
    await desk.until((seen) => runningIn(seen).length === 1);
    const { mission_id, task_id, attempt } = hanging;
    desk.stop({ mission_id, task_id, attempt });
    await desk.until(({ polls }) => polls.at(-1)?.running?.length === 0);
    expect(desk.reports).toEqual([]);
  });
});

describe('an assignment without a right permit (A1)', () => {
  it('is not run when its input was changed', async () => {
    const changed = { ...asked('hostile.answers', { amount: 1 }), input: { amount: 1_000 } };
    await expect(desk.assign(changed)).resolves.toEqual(failed('permit_invalid', 'input_digest differs', false));
  });

  it('is not run when the signature is not of these claims', async () => {
    const honest = asked('hostile.answers');
    const permit = { ...signed({ ...honest.permit.claims, policy_version: 2 }), claims: honest.permit.claims };
    await expect(desk.assign({ ...honest, permit })).resolves.toEqual(failed('permit_invalid', 'not signed', false));
  });

  it('is given back when this runner has no such worker', async () => {
    const unknown = assignmentOf({ manifest: { ...manifestOf('hostile.answers'), name: 'no.such.worker' } });
    await expect(desk.assign(unknown)).resolves.toEqual(failed('runner_lost', 'no worker no.such.worker', true));
  });
});

describe('the end of an attempt', () => {
  it.each([
    ['hostile.throws', 'worker_failed', 'it went wrong', true],
    ['hostile.throws_for_good', 'worker_failed', 'it will never go right', false],
    ['hostile.exits', 'worker_failed', 'did not survive', true],
  ])('of %s says why (A3)', (worker, code, message, retryable) =>
    expect(run(worker)).resolves.toEqual(failed(code, message, retryable)),
  );

  it('comes at its deadline (A2)', () =>
    expect(run('hostile.hangs', {}, 0.3)).resolves.toEqual(failed('worker_timed_out', 'at the deadline', true)));

  it('holds no output that cannot be kept, whoever wrote it (A3)', async () => {
    await expect(run('hostile.returns', { what: 'nul' })).resolves.toEqual(failed('output_invalid', 'U+0000', false));
    await expect(run('hostile.forges_its_result')).resolves.toEqual(failed('output_invalid', 'U+0000', false));
    const large = run('hostile.returns', { what: 'ten_megabytes' });
    await expect(large).resolves.toEqual(failed('output_too_large', '1048576 bytes', false));
  });

  it('is nobody’s failure when the vault was away until then', () =>
    expect(run('hostile.puts', { file: 'a.txt', text: 'a', times: 1 }, 1)).resolves.toEqual(
      failed('runner_lost', 'the vault was away', true),
    ));

  it('is the worker’s failure when what it wants to keep cannot be named', () =>
    expect(run('hostile.puts', { file: '../../a', text: 'a', times: 1 })).resolves.toEqual(
      failed('worker_failed', 'cannot be the name', false),
    ));
});

describe('a runner whose mission-service is away', () => {
  it('keeps its results until they are taken (R3)', async () => {
    const result = run('hostile.takes_its_time', { ms: 200 });
    await desk.until((seen) => runningIn(seen).length === 1);
    desk.away = true;
    desk.breakOff();
    setTimeout(() => {
      desk.away = false;
    }, 1_000);
    await expect(result).resolves.toEqual(completed({ took: 200 }));
    await desk.until(({ polls }) => polls.at(-1)?.manifests !== undefined);
  });

  it('drops a result that comes too late (R3)', async () => {
    desk.fenced = true;
    await run('hostile.answers');
    await desk.until(({ polls }) => polls.at(-1)?.running?.length === 0);
    expect(desk.reports).toHaveLength(1);
  });
});

describe('a runner that is told to end', () => {
  it('lets what runs finish', async () => {
    const result = run('hostile.takes_its_time', { ms: 300 });
    await desk.until((seen) => runningIn(seen).length === 1);
    await runner.stop();
    await expect(result).resolves.toEqual(completed({ took: 300 }));
  });

  it('gives back what does not finish in time (R4)', async () => {
    const result = run('hostile.spins');
    await desk.until((seen) => runningIn(seen).length === 1);
    await runner.stop();
    await expect(result).resolves.toEqual(failed('runner_lost', '', true));
    expect(desk.reports.at(-1)?.workers).toEqual([]);
  });
});
