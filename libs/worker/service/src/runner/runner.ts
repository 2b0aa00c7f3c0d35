// Runner
//
// Asks mission-service for work, runs it in threads, and reports what came of it.
//
//   R1. Slots are tokens: one is free, offered in a poll, or held by an attempt from its assignment until its report is
//       answered. The runner is never handed more than it can begin at once, or soon: while its tasks are short it
//       offers a multiple of its slots, because a task that finds no slot costs its mission a commit of its own.
//   R2. There is always a poll under way, and every attempt it holds is named in one at least every `TELL_MS` while it
//       holds many, else in each: that is the heartbeat.
//   R3. A result is kept until mission-service has answered its report. A refused one was fenced off: logged, dropped.
//   R4. What cannot be begun, or not be finished before the end of the process, is given back as `runner_lost`, which
//       uses no try.

import { isDependent } from '@nexusmon/messaging';
import { counter, histogram, withRemoteSpan, type Logger } from '@nexusmon/telemetry';
import type { Reply } from '@nexusmon/shared-contract';
import type {
  Assignment,
  AttemptResult,
  PollReply,
  PollRequest,
  ReportReply,
  ReportRequest,
  TaskError,
  WorkerManifest,
} from '@nexusmon/worker-contract';
import { Attempt, type AttemptTools } from './attempt.js';
import { pauses, rest } from './away.js';
import { taskFault } from './fault.js';

/**
 * How long a poll may wait. Shorter than the heartbeat asks for: a poll that a killed mission-service took with it is
 * noticed only when its time is up, and no new work arrives on its slots until then.
 */
export const POLL_WAIT_MS = 5_000;
const REPLY_MARGIN_MS = 2_000;
const REPORT_TIMEOUT_MS = 5_000;
/** Manifests ride along at first, after every trouble, and this often, so that a new mission-service learns them. */
const MANIFESTS_EVERY_MS = 30_000;
/** After the drain: for the reports of what was given back. */
const LAST_REPORTS_MS = 2_000;

const tasks = counter('nexusmon_tasks', { says: 'Attempts that ended, by worker and outcome.' });
const taskSeconds = histogram('nexusmon_task_duration_seconds', { says: 'Attempts, from assignment to result.' });

/** What a runner asks of mission-service. */
export type MissionDesk = Readonly<{
  poll: (request: PollRequest, timeout_ms: number) => Promise<Reply<PollReply>>;
  report: (request: ReportRequest, timeout_ms: number) => Promise<Reply<ReportReply>>;
}>;

/** While attempts take less than this, waiting for a thread included, more are taken than run at the same time. */
const SHORT_MS = 50;
const SHORT_FACTOR = 4;
/** How much the last attempt counts in how long they take. */
const LAST_SHARE = 0.1;
const SLOTS_MAX = 256;

export type RunnerOptions = Readonly<{ runner_id: string; slots: number; drain_ms: number }>;

/** Up to this many attempts are named in every poll, more of them only now and then. */
const FEW = 8;
const TELL_MS = 1_000;

type AttemptName = Readonly<{ mission_id: string; task_id: string; attempt: number }>;

const nameOf = ({ mission_id, task_id, attempt }: AttemptName): AttemptName => ({ mission_id, task_id, attempt });

const keyOf = ({ mission_id, task_id, attempt }: Readonly<{ mission_id: string; task_id: string; attempt: number }>) =>
  `${mission_id}/${task_id}/${attempt}`;

type Answer<Body> = Readonly<{ kind: 'answer'; body: Body }> | Readonly<{ kind: 'refused' | 'away'; why: string }>;

/** The three ends of a request as one value: whoever is away may say so, or say nothing. */
const answerOf = async <Body>(request: Promise<Reply<Body>>): Promise<Answer<Body>> => {
  try {
    const reply = await request;
    if (reply.kind === 'done') return { kind: 'answer', body: reply.body };
    if (reply.kind === 'unavailable') return { kind: 'away', why: reply.unavailable.detail };
    return { kind: 'refused', why: `${reply.refusal.code}: ${reply.refusal.detail}` };
  } catch (error) {
    if (!isDependent(error)) throw error;
    return { kind: 'away', why: error.message };
  }
};

export class Runner {
  private readonly attempts = new Map<string, Attempt>();
  private readonly workers: string[];
  private readonly manifests: WorkerManifest[];
  /** Aborted when no more work is taken. */
  private readonly leaving = new AbortController();
  /** Aborted when nothing is waited for any more. */
  private readonly gone = new AbortController();
  private readonly pause = pauses;
  private offered = 0;
  private polls = 0;
  /** How long attempts take of late; it takes some dozens of short ones to believe it. */
  private usual_ms = 1_000;
  private manifests_sent_ms = -Infinity;
  private told_ms = -Infinity;
  private emptied: (() => void) | undefined;

  constructor(
    private readonly options: RunnerOptions,
    private readonly desk: MissionDesk,
    private readonly tools: Omit<AttemptTools, 'progress'>,
    private readonly log: Logger,
  ) {
    this.workers = [...tools.manifests.keys()];
    this.manifests = [...tools.manifests.values()];
  }

  start(): void {
    this.log.info({ runner_id: this.options.runner_id, workers: this.workers, msg: 'the runner asks for work' });
    this.pump();
  }

  /** Takes no more work, lets what runs finish, and gives the rest back (R4). */
  async stop(): Promise<void> {
    this.leaving.abort();
    await this.empty(this.options.drain_ms);
    for (const attempt of this.attempts.values()) attempt.stop();
    await this.empty(LAST_REPORTS_MS);
    this.gone.abort();
    this.tools.pool.close();
    if (this.attempts.size > 0)
      this.log.warn({ attempts: [...this.attempts.keys()], msg: 'attempts were left behind' });
  }

  /** Waits until no attempt is left, but not for ever. */
  private async empty(within_ms: number): Promise<void> {
    if (this.attempts.size === 0) return;
    const enough = new AbortController();
    this.emptied = () => enough.abort();
    await rest(within_ms, enough.signal);
    this.emptied = undefined;
  }

  private get tellsRunning(): boolean {
    return this.attempts.size <= FEW || performance.now() - this.told_ms > TELL_MS;
  }

  private get free(): number {
    return this.slots - this.attempts.size - this.offered;
  }

  private get slots(): number {
    return this.usual_ms < SHORT_MS ? this.slots_max : this.options.slots;
  }

  private get slots_max(): number {
    return Math.max(this.options.slots, Math.min(this.options.slots * SHORT_FACTOR, SLOTS_MAX));
  }

  /** Offers what is free. With nothing free one poll goes on all the same, as the heartbeat (R2). */
  private pump(): void {
    if (this.leaving.signal.aborted) return;
    if (this.free > 0 || this.polls === 0) void this.poll(Math.max(0, this.free));
  }

  private async poll(slots: number): Promise<void> {
    this.polls += 1;
    this.offered += slots;
    const answer = await answerOf(this.desk.poll(this.pollRequest(slots), POLL_WAIT_MS + REPLY_MARGIN_MS));
    if (answer.kind === 'answer') this.failures = undefined;
    else await this.pauseAfter(answer);
    this.polls -= 1;
    this.offered -= slots;
    if (answer.kind === 'answer') {
      for (const asked of answer.body.stop) this.stopAttempt(keyOf(asked));
      for (const assignment of answer.body.assignments) this.take(assignment);
    }
    this.pump();
  }

  private failures: (() => number) | undefined;

  private async pauseAfter({ kind, why }: Readonly<{ kind: 'refused' | 'away'; why: string }>): Promise<void> {
    this.manifests_sent_ms = -Infinity;
    this.failures ??= this.pause();
    if (kind === 'refused') this.log.error({ why, msg: 'mission-service refused a poll' });
    else this.log.debug({ why, msg: 'mission-service is away' });
    await rest(this.failures(), this.leaving.signal);
  }

  private pollRequest(slots: number): PollRequest {
    const now_ms = performance.now();
    const tells = this.tellsRunning;
    if (tells) this.told_ms = now_ms;
    const introduce = now_ms - this.manifests_sent_ms > MANIFESTS_EVERY_MS;
    if (introduce) this.manifests_sent_ms = now_ms;
    return {
      runner_id: this.options.runner_id,
      workers: this.workers,
      ...(introduce ? { manifests: this.manifests } : {}),
      slots,
      ...(tells ? { running: [...this.attempts.values()].map(({ assignment }) => nameOf(assignment)) } : {}),
      wait_ms: POLL_WAIT_MS,
    };
  }

  private stopAttempt(key: string): void {
    const attempt = this.attempts.get(key);
    if (!attempt) return;
    this.log.info({ attempt: key, msg: 'an attempt is stopped on request' });
    attempt.stop();
  }

  private take(assignment: Assignment): void {
    const key = keyOf(assignment);
    if (this.attempts.has(key)) return; // Said twice; it is already here.
    const { log } = this;
    const progress = (_message: string, fraction: number | undefined) =>
      log.debug({ attempt: key, fraction, msg: 'progress' });
    const attempt = new Attempt(assignment, { ...this.tools, progress });
    this.attempts.set(key, attempt);
    void this.attend(key, attempt);
  }

  private async attend(key: string, attempt: Attempt): Promise<void> {
    const { assignment } = attempt;
    const { mission_id, task_id, worker, traceparent } = assignment;
    const attributes = { mission_id, task_id, worker, attempt: assignment.attempt };
    const next = await withRemoteSpan(traceparent, `task ${worker}`, attributes, async () => {
      const result = await this.resultOf(key, attempt);
      return result ? this.report(assignment, result) : [];
    });
    this.attempts.delete(key);
    for (const following of next) this.take(following);
    if (this.attempts.size === 0) this.emptied?.();
    this.pump();
  }

  private async resultOf(key: string, attempt: Attempt): Promise<AttemptResult | undefined> {
    const { worker } = attempt.assignment;
    const began_ms = performance.now();
    const overbooked = this.attempts.size > this.slots_max || this.leaving.signal.aborted;
    const result = overbooked ? givenBack(0) : await attempt.result();
    const outcome = outcomeOf(result);
    const took_ms = performance.now() - began_ms;
    this.usual_ms += (took_ms - this.usual_ms) * LAST_SHARE;
    tasks({ worker, outcome });
    taskSeconds(took_ms / 1_000, { worker, outcome });
    if (result?.outcome === 'failed') this.failed(key, worker, result.error);
    if (result) return result;
    // Stopped on request: nobody waits. Stopped because the process ends: somebody does (R4).
    return this.leaving.signal.aborted ? givenBack(performance.now() - began_ms) : undefined;
  }

  /** Without its message, and progress without its text: a worker's words may be personal, and a log is no safe. */
  private failed(attempt: string, worker: string, { code, retryable }: TaskError): void {
    this.log.warn({ attempt, worker, code, retryable, msg: 'a task failed' });
  }

  /** Until it is answered (R3). Returns what is to be done next. */
  private async report(assignment: Assignment, result: AttemptResult): Promise<readonly Assignment[]> {
    const { mission_id, task_id, attempt } = assignment;
    const { runner_id } = this.options;
    const workers = this.leaving.signal.aborted ? [] : this.workers;
    const request: ReportRequest = { runner_id, workers, mission_id, task_id, attempt, result };
    const pause = this.pause();
    while (!this.gone.signal.aborted) {
      const answer = await answerOf(this.desk.report(request, REPORT_TIMEOUT_MS));
      if (answer.kind === 'answer') {
        const { accepted, reason, assignments } = answer.body;
        if (!accepted) this.log.warn({ attempt: keyOf(assignment), reason, msg: 'a result came too late' });
        return assignments;
      }
      if (answer.kind === 'refused') {
        this.log.error({ attempt: keyOf(assignment), why: answer.why, msg: 'a result was refused' });
        return [];
      }
      await rest(pause(), this.gone.signal);
    }
    return [];
  }
}

const givenBack = (duration_ms: number): AttemptResult => ({
  outcome: 'failed',
  error: taskFault('runner_lost', 'the runner could not run this to its end', true),
  duration_ms,
});

const outcomeOf = (result: AttemptResult | undefined): string => {
  if (!result) return 'stopped';
  return result.outcome === 'completed' ? 'completed' : result.error.code;
};
