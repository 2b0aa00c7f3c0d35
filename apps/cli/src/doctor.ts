// The runtime check: a mission that really runs, and whether the system tells of it what it should.
//
//   D1. Four things can be wrong, and each is said with its cause and its cure. What could not be looked at is said to
//       be so, never to be in order.
//   D2. It leaves nothing running: its own mission is cancelled when it does not end.
//   D3. Figures and events count only when they are younger than the run that they are to tell of.

import { ApiProblem, Unreachable, type Event, type Health, type Mission } from '@nexusmon/client';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from './exit-codes.js';
import { eventName, isEnding, streamMission } from './follow.js';
import { isEnded } from './mission-text.js';
import type { DoctorOptions } from './program.js';
import type { Session } from './session.js';
import { plainLine } from './text.js';

const PATIENCE_SECONDS = 30;
const MILLISECONDS = 1_000;
const ASK_EVERY_MS = 100;
/** Events come at once and figures once a second. */
const TELLING_MS_MAX = 5_000;
const BUSY_MS = 3_000;

export type Failure = Readonly<{
  code: 'mission_run_failed' | 'missing_runtime_metrics' | 'missing_telemetry' | 'busy_loops_detected';
  cause: string;
  cure: string;
}>;

type BusyLoop = Readonly<{ process: string; event_loop_utilization: number; busy_ms: number }>;

export type Findings = {
  status: 'ok' | 'failed';
  wall_ms: number;
  mission: { created: { mission_id: string } | null; ran: { status: string } | null };
  last_runtime_metric: { ts: string; cpu_ms: number } | null;
  last_telemetry: { ts: string; event: string } | null;
  /** Null: it could not be looked at. */
  busy_loops_detected: BusyLoop[] | null;
  failures: Failure[];
};

type Processes = Health['runtime']['processes'];

/** In the words of whoever refused. */
const said = (error: unknown): string => {
  if (error instanceof ApiProblem) return `${error.document.title}: ${error.document.detail}`;
  if (error instanceof Unreachable) return error.message;
  throw error;
};

const CURES = {
  refused: 'nexusmon api GET /v1/system/health tells which part is away; the reason stands in logs/ of the data folder',
  late: 'see that workers run and governance answers: nexusmon api GET /v1/system/health',
  ended: 'nexusmon mission show tells which task failed and why',
  silent: 'look at the process in logs/ of the data folder; when it hangs, end it: the supervisor brings it back',
  blocked: 'let nothing between here and the gateway hold back text/event-stream, and close streams that nobody reads',
  foreign: 'let nothing between here and the gateway drop the header traceparent',
  busy: 'node --inspect tells what spins; ending the process brings it back without its work',
} as const;

const newTrace = () => {
  const trace_id = randomBytes(16).toString('hex');
  return { trace_id, traceparent: `00-${trace_id}-${randomBytes(8).toString('hex')}-01` };
};

const PLAN = (nonce: string) => ({ tasks: [{ task_id: 'echo', worker: 'system.echo', input: { value: nonce } }] });

/** What has come over the stream of events; it is read beside everything else. */
class Telemetry {
  last: Event | undefined;
  fault: string | undefined;
  is_over = false;
  private readonly ending = new AbortController();
  private readonly reading: Promise<void>;

  constructor(
    session: Session,
    mission_id: string,
    from: string,
    private readonly trace_id: string,
  ) {
    this.reading = this.read(session, mission_id, from);
  }

  get is_complete(): boolean {
    return this.last !== undefined && isEnding(this.last);
  }

  failure(): Failure | undefined {
    const code = 'missing_telemetry';
    if (this.last === undefined) {
      const cause = this.fault ?? 'no event of the mission came over GET /v1/events';
      return { code, cause, cure: CURES.blocked };
    }
    if (this.last.traceparent?.split('-')[1] !== this.trace_id)
      return { code, cause: 'the events of the mission do not carry the trace of the run', cure: CURES.foreign };
    if (this.is_complete) return undefined;
    return { code, cause: `after ${eventName(this.last)} no event of the mission came`, cure: CURES.blocked };
  }

  async close(): Promise<void> {
    this.ending.abort();
    await this.reading;
  }

  private async read({ gateway, signal }: Session, mission_id: string, from: string): Promise<void> {
    const until = AbortSignal.any([signal, this.ending.signal]);
    try {
      for await (const event of streamMission(
        { gateway, mission_id, until, onLost: (why) => (this.fault = why) },
        from,
      )) {
        this.last = event;
        if (isEnding(event)) return;
      }
    } catch (error) {
      this.fault = said(error);
    } finally {
      this.is_over = true;
    }
  }
}

const until = async (holds: () => boolean | Promise<boolean>, ms: number, signal: AbortSignal): Promise<boolean> => {
  const deadline = performance.now() + ms;
  for (;;) {
    if (await holds()) return true;
    if (performance.now() > deadline) return false;
    await pause(ASK_EVERY_MS, undefined, { signal });
  }
};

class Examination {
  readonly findings: Findings = {
    status: 'ok',
    wall_ms: 0,
    mission: { created: null, ran: null },
    last_runtime_metric: null,
    last_telemetry: null,
    busy_loops_detected: null,
    failures: [],
  };
  private readonly nonce = randomBytes(8).toString('hex');
  private readonly trace = newTrace();
  private telemetry: Telemetry | undefined;

  constructor(
    private readonly session: Session,
    private readonly patience_ms: number,
  ) {}

  async run(): Promise<Findings> {
    const began = performance.now();
    const { failures } = this.findings;
    const mission = await this.attempted('mission_run_failed', CURES.refused, () => this.runMission());
    const runtime = await this.attempted('missing_runtime_metrics', CURES.refused, () => this.lookAtMetrics(mission));
    await this.lookAtTelemetry();
    if (runtime) await this.lookAtLoops(runtime);
    this.findings.status = failures.length === 0 ? 'ok' : 'failed';
    this.findings.wall_ms = Math.round(performance.now() - began);
    return this.findings;
  }

  private fail(failure: Failure | undefined): void {
    if (failure) this.findings.failures.push(failure);
  }

  private async attempted<Value>(
    code: Failure['code'],
    cure: string,
    work: () => Promise<Value>,
  ): Promise<Value | undefined> {
    try {
      return await work();
    } catch (error) {
      this.fail({ code, cause: said(error), cure });
      return undefined;
    }
  }

  private async runMission(): Promise<Mission | undefined> {
    const { session, findings, trace } = this;
    const { gateway } = session;
    const headers = { traceparent: trace.traceparent } as object;
    const body = { goal: 'Runtime check', hold: true, tags: ['doctor'], plan: PLAN(this.nonce) };
    const { body: created, position = '' } = await gateway.call('POST /v1/engine/missions', { body, headers });
    const { mission_id } = created;
    findings.mission.created = { mission_id };
    this.telemetry = new Telemetry(session, mission_id, position, trace.trace_id);
    const path = { mission_id };
    await gateway.callSovereign('POST /v1/engine/missions/{mission_id}/run', { path, body: {}, headers });
    let mission = created;
    const look = async () => {
      mission = (await gateway.call('GET /v1/engine/missions/{mission_id}', { path })).body;
      return isEnded(mission);
    };
    const ended = await until(look, this.patience_ms, session.signal);
    findings.mission.ran = { status: mission.status };
    this.fail(this.judged(mission, ended));
    if (!ended) await gateway.call('POST /v1/engine/missions/{mission_id}/cancel', { path, body: {} });
    return mission;
  }

  private judged({ status, tasks, error }: Mission, ended: boolean): Failure | undefined {
    const code = 'mission_run_failed';
    const [task] = tasks;
    if (!ended) {
      const where = task ? `, its task ${task.status}` : '';
      const cause = `after ${this.patience_ms / MILLISECONDS} s the mission is still ${status}${where}`;
      return { code, cause, cure: CURES.late };
    }
    if (status !== 'completed')
      return { code, cause: `${status}: ${error?.message ?? 'no reason'}`, cure: CURES.ended };
    const { value } = (task?.output ?? {}) as { value?: unknown };
    if (value === this.nonce) return undefined;
    return { code, cause: 'the mission completed with another output than its input asks for', cure: CURES.ended };
  }

  private async health(): Promise<Health> {
    return (await this.session.gateway.call('GET /v1/system/health')).body;
  }

  /** Every process has to have told of a moment after the run. */
  private async lookAtMetrics(mission: Mission | undefined): Promise<Processes> {
    const since = mission?.ended_at ?? '';
    const deadline = performance.now() + TELLING_MS_MAX;
    let runtime = (await this.health()).runtime;
    const isTold = async () => {
      const { unheard, processes } = runtime;
      if (unheard.length === 0 && Object.values(processes).every(({ ts }) => ts > since)) return true;
      runtime = (await this.health()).runtime;
      return false;
    };
    const told = await until(isTold, deadline - performance.now(), this.session.signal);
    const samples = Object.values(runtime.processes);
    const ts = samples.map((sample) => sample.ts).sort()[0];
    if (ts !== undefined)
      this.findings.last_runtime_metric = { ts, cpu_ms: samples.reduce((sum, { cpu_ms }) => sum + cpu_ms, 0) };
    if (!told) this.fail(this.unheard(runtime, since));
    return runtime.processes;
  }

  private unheard({ unheard, processes }: Health['runtime'], since: string): Failure {
    const old = Object.entries(processes).filter(([, { ts }]) => ts <= since);
    const causes = [
      ...unheard.map((context) => `${context} has told no figures`),
      ...old.map(([name, { ts }]) => `the last figures of ${name} are of ${ts}`),
    ];
    return { code: 'missing_runtime_metrics', cause: causes.join('; '), cure: CURES.silent };
  }

  private async lookAtTelemetry(): Promise<void> {
    const { telemetry, findings, session } = this;
    if (!telemetry) {
      const cause = 'there was no mission whose events could have come';
      return this.fail({ code: 'missing_telemetry', cause, cure: CURES.refused });
    }
    if (findings.mission.ran?.status === 'completed')
      await until(() => telemetry.is_over, TELLING_MS_MAX, session.signal);
    await telemetry.close();
    const { last } = telemetry;
    if (last) findings.last_telemetry = { ts: last.time, event: eventName(last) };
    // A run that did not end has told all that there is to tell.
    if (findings.mission.ran?.status === 'completed' || !last) this.fail(telemetry.failure());
  }

  /** Only seconds in which nothing was asked of the system count. */
  private async lookAtLoops(first: Processes): Promise<void> {
    const { gateway, signal } = this.session;
    const busyOf = (processes: Processes) => Object.entries(processes).filter(([, { busy_ms }]) => busy_ms > 0);
    const isIdle = async () => {
      const { queues } = (await gateway.call('GET /v1/nexusmon/organism/status')).body;
      return queues.queued_tasks + queues.running_tasks === 0;
    };
    if (!(await isIdle())) return;
    const idle_since = performance.now();
    let busy = busyOf(first);
    while (busy.length > 0 && performance.now() - idle_since < BUSY_MS + MILLISECONDS) {
      await pause(ASK_EVERY_MS, undefined, { signal });
      busy = busyOf((await this.health()).runtime.processes);
    }
    if (busy.length > 0 && !(await isIdle())) return;
    const loops = busy
      .filter(([, { busy_ms }]) => busy_ms >= BUSY_MS)
      .map(([name, { event_loop_utilization, busy_ms }]) => ({ process: name, event_loop_utilization, busy_ms }));
    this.findings.busy_loops_detected = loops;
    if (loops.length === 0) return;
    const cause = loops.map(
      ({ process, event_loop_utilization, busy_ms }) =>
        `${process} has been ${Math.round(event_loop_utilization * 100)} % busy for ${Math.round(busy_ms / 1_000)} s while idle`,
    );
    this.fail({ code: 'busy_loops_detected', cause: cause.join('; '), cure: CURES.busy });
  }
}

const loopsText = (loops: Findings['busy_loops_detected']): string => {
  if (loops === null) return 'not looked at: the system was not idle, or did not tell';
  return loops.map(({ process }) => process).join(', ') || 'none';
};

const findingsText = (findings: Findings): string => {
  const { status, wall_ms, mission, last_runtime_metric, last_telemetry, busy_loops_detected, failures } = findings;
  const { created, ran } = mission;
  return [
    '=== RUNTIME CHECK ===',
    `status: ${status}`,
    `wall_ms: ${wall_ms}`,
    `mission create/run: ${created ? `${created.mission_id} ${ran?.status ?? 'not run'}` : 'not created'}`,
    `last_runtime_metric: ${last_runtime_metric ? `${last_runtime_metric.ts} cpu_ms ${last_runtime_metric.cpu_ms}` : 'missing'}`,
    `last_telemetry: ${last_telemetry ? `${last_telemetry.ts} ${last_telemetry.event}` : 'missing'}`,
    `busy_loops_detected: ${loopsText(busy_loops_detected)}`,
    ...failures.flatMap(({ code, cause, cure }) => ['', code, `  cause: ${plainLine(cause)}`, `  cure: ${cure}`]),
    '',
  ].join('\n');
};

export const examine = async (session: Session, { patience = PATIENCE_SECONDS }: DoctorOptions): Promise<void> => {
  const findings = await new Examination(session, patience * MILLISECONDS).run();
  session.output.answer(findings, () => findingsText(findings));
  if (findings.status === 'failed') session.endWith(EXIT.failure);
};
