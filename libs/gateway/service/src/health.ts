// Health: what every context says of itself, put together. Looked at when somebody asks, at most once a second.
//
//   H1. `accepting` rests on what accepting a mission needs: NATS, the log, and mission-service. Nothing else is asked.
//   H2. What nobody has said is not guessed: a context that does not answer is down, and its projections are missing.

import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import type { EventLog } from '@nexusmon/event-log';
import type { Database, LogFeed } from '@nexusmon/projections';
import type { ContextNats, Health as ProcessHealth, HealthReport } from '@nexusmon/runtime';
import type { RuntimeSample } from '@nexusmon/telemetry';
import { z } from 'zod';
import { problemOf } from './http/faults.js';
import { unavailable } from './http/problem.js';
import type { Services } from './http/services.js';

const KNOWN_FOR_MS = 1_000;
const ROUND_TRIP_MS_MAX = 1_000;
const ANSWER_MS_MAX = 3_000;
/** A moment of hard work is no trouble. */
const BUSY_MS = 3_000;

const CONTEXTS = ['mission', 'governance', 'vault', 'evolution', 'worker'] as const;
type ContextName = (typeof CONTEXTS)[number];

export const healthStatus = z.enum(['ok', 'degraded', 'read_only', 'down']).meta({ id: 'HealthStatus' });
export type HealthStatus = z.infer<typeof healthStatus>;

const check = z.object({ status: healthStatus, detail: z.string().optional() });
type Check = z.infer<typeof check>;

const projection = z.object({
  position: z.string(),
  lag: z.number().describe('Commits of the log that it has not seen yet.'),
  halted: z.string().optional(),
  retrying: z.string().optional(),
});
type Projection = z.infer<typeof projection>;

const runtimeSample = z.object({
  ts: z.string().describe('When it was taken; once a second.'),
  cpu_ms: z.number().describe('CPU time since the start.'),
  rss_bytes: z.number(),
  event_loop_utilization: z.number().describe('Of the last second.'),
  busy_ms: z.number().describe('For how long every second until now was over 0.9.'),
});

export const healthDocument = z
  .object({
    status: healthStatus,
    checks: z.object({
      nats: check,
      postgres: check,
      vault: check,
      missions: check,
      governance: check,
      evolution: check,
      projections: z.record(z.string(), projection),
      workers: check.extend({ runners: z.int().optional() }),
      providers: z.record(z.string(), check).describe('Of models: none is configured when it is empty.'),
      event_loop: check.extend({ utilization: z.number().optional() }),
    }),
    runtime: z.object({
      processes: z.record(z.string(), runtimeSample).describe('What each process has told of itself last.'),
      unheard: z.array(z.string()).describe('Contexts whose process has told nothing.'),
    }),
    version: z.string(),
    uptime_seconds: z.number(),
  })
  .meta({ id: 'Health' });
type HealthDocument = z.infer<typeof healthDocument>;

export type HealthOptions = Readonly<{
  log: EventLog;
  feed: LogFeed;
  database: Database;
  nats: ContextNats;
  services: Services;
  /** What this process says of itself. */
  own: ProcessHealth;
  version: string;
}>;

export type Overall = Readonly<{ status: HealthStatus; accepting: boolean }>;

/** What mission-service itself must have; whatever else its process holds may be away. */
const ACCEPTING = ['nats.mission', 'postgres.mission', 'log.mission'] as const;

const OK: Check = { status: 'ok' };

/** Down, with the reason as a caller would be told it. */
const looked = async (look: () => Promise<unknown>): Promise<Check> => {
  try {
    await look();
    return OK;
  } catch (error) {
    return { status: 'down', detail: problemOf(error).details.detail };
  }
};

const BY_WEIGHT: readonly HealthStatus[] = ['down', 'read_only', 'degraded', 'ok'];
const worstOf = (...checks: readonly Check[]): HealthStatus =>
  BY_WEIGHT.find((status) => checks.some((one) => one.status === status)) ?? 'ok';

/** Without these nothing is accepted; whatever else is wrong makes the system less able. */
const statusOf = ({ projections, providers, ...checks }: HealthDocument['checks']): HealthStatus => {
  const essential = worstOf(checks.nats, checks.missions);
  if (essential !== 'ok') return essential;
  const halted = Object.values(projections).some(({ halted: reason }) => reason !== undefined);
  return !halted && worstOf(...Object.values(checks), ...Object.values(providers)) === 'ok' ? 'ok' : 'degraded';
};

/** What a process says of itself, as everybody is told it: one that starts or stops cannot be counted on. */
const STATUS_OF: Readonly<Record<HealthReport['status'], HealthStatus>> = {
  ok: 'ok',
  degraded: 'degraded',
  read_only: 'read_only',
  starting: 'down',
  stopping: 'down',
};

const checkOf = ({ status, reason }: HealthReport): Check =>
  reason === undefined ? { status: STATUS_OF[status] } : { status: STATUS_OF[status], detail: reason };

/** What a check found lost or changed stays so until a person restores or deletes it. */
const withDamage = (vault: Check, report: HealthReport | undefined): Check => {
  const { damaged } = (report?.details['blobs'] ?? {}) as Readonly<{ damaged?: number }>;
  if (damaged === undefined || damaged === 0 || vault.status !== 'ok') return vault;
  return { status: 'degraded', detail: `${damaged} damaged: GET /v1/vault/artifacts?damaged=true` };
};

/** Asked for once by however many come within a second. */
class Recent<Value> {
  private known: Readonly<{ at_ms: number; value: Promise<Value> }> | undefined;

  constructor(private readonly look: () => Promise<Value>) {}

  get(): Promise<Value> {
    const at_ms = performance.now();
    if (!this.known || at_ms - this.known.at_ms >= KNOWN_FOR_MS) this.known = { at_ms, value: this.look() };
    return this.known.value;
  }
}

type Told = Readonly<{ check: Check; report: HealthReport | undefined }>;

export class Health {
  private readonly recent_overall = new Recent(() => this.lookOverall());
  private readonly recent_document = new Recent(() => this.lookEverywhere());

  constructor(private readonly options: HealthOptions) {}

  overall(): Promise<Overall> {
    return this.recent_overall.get();
  }

  document(): Promise<HealthDocument> {
    return this.recent_document.get();
  }

  private async lookOverall(): Promise<Overall> {
    const [nats, mission] = await Promise.all([this.natsCheck(), this.tellOf('mission')]);
    const status = worstOf(nats, mission.check);
    if (status !== 'degraded') return { status, accepting: status === 'ok' };
    const failed = ACCEPTING.filter((name) => mission.report?.checks[name]?.ok === false);
    return failed.length === 0 ? { status, accepting: true } : { status: 'down', accepting: false };
  }

  private async lookEverywhere(): Promise<HealthDocument> {
    const { database, own, version } = this.options;
    const [nats, postgres, workers, own_report, ...told] = await Promise.all([
      this.natsCheck(),
      looked(() => database.query('select 1')),
      this.workersCheck(),
      own.report(),
      ...CONTEXTS.map((context) => this.tellOf(context)),
    ]);
    const of = (context: ContextName): Check => told[CONTEXTS.indexOf(context)]?.check ?? OK;
    const worker = of('worker');
    const processes = processesOf([own_report, ...told.map(({ report }) => report)]);
    const unheard = CONTEXTS.filter((_, index) => told[index]?.report === undefined);
    const vault = withDamage(of('vault'), told[CONTEXTS.indexOf('vault')]?.report);
    const checks: HealthDocument['checks'] = {
      ...{ nats, postgres, vault, missions: of('mission') },
      ...{ governance: of('governance'), evolution: of('evolution') },
      projections: projectionsOf([own_report, ...told.map(({ report }) => report)]),
      workers: worker.status === 'ok' ? workers : { ...workers, ...worker },
      providers: {},
      event_loop: loopCheck(processes),
    };
    const runtime = { processes, unheard };
    return { status: statusOf(checks), checks, runtime, version, uptime_seconds: process.uptime() };
  }

  private async tellOf(context: ContextName): Promise<Told> {
    let report: HealthReport | undefined;
    const answered = await looked(async () => {
      const limit = { timeout_ms: ANSWER_MS_MAX };
      report = (await this.options.services.ask<HealthReport>(`qry.${context}.health`, {}, limit)).body;
    });
    return { check: report ? checkOf(report) : answered, report };
  }

  private async workersCheck(): Promise<HealthDocument['checks']['workers']> {
    let runners: number | undefined;
    const answered = await looked(async () => {
      const limit = { timeout_ms: ANSWER_MS_MAX };
      ({ runners } = (await this.options.services.ask<{ runners: number }>(MISSION_SUBJECTS.count, {}, limit)).body);
    });
    if (runners === undefined) return answered;
    return runners > 0 ? { ...OK, runners } : { status: 'degraded', detail: 'no runner asks for work', runners };
  }

  /** A round trip, and what this process knows of the log. */
  private async natsCheck(): Promise<Check> {
    const { log, feed, nats } = this.options;
    const trip = await looked(() => inTime(nats.connection.flush()));
    const status = log.status();
    if (trip.status !== 'ok') return trip;
    if (!status.writable) return { status: 'read_only', detail: status.reason };
    return feed.fault === undefined ? OK : { status: 'degraded', detail: feed.fault };
  }
}

/** Contexts that share a process tell the same; by name it is told once. */
const projectionsOf = (reports: readonly (HealthReport | undefined)[]): Record<string, Projection> =>
  Object.assign({}, ...reports.map((report) => report?.details['projections'] ?? {})) as Record<string, Projection>;

/** While the connection is lost a flush waits for its return. */
const inTime = async (trip: Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(unavailable('nats', 'no round trip in time')), ROUND_TRIP_MS_MAX);
  });
  try {
    await Promise.race([trip, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Nothing is said of it before the first window is over. */
const processesOf = (reports: readonly (HealthReport | undefined)[]): Record<string, RuntimeSample> =>
  Object.assign({}, ...reports.map((report) => report?.details['runtime'] ?? {})) as Record<string, RuntimeSample>;

const loopCheck = (processes: Readonly<Record<string, RuntimeSample>>): HealthDocument['checks']['event_loop'] => {
  const samples = Object.entries(processes);
  const utilization = Math.max(...samples.map(([, sample]) => sample.event_loop_utilization));
  const busy = samples.filter(([, { busy_ms }]) => busy_ms >= BUSY_MS).map(([name]) => name);
  if (busy.length === 0) return { status: 'ok', utilization };
  return { status: 'degraded', detail: `busy without a pause: ${busy.join(', ')}`, utilization };
};
