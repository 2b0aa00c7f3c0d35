// Health: what can be said of the system, and whether missions can be accepted. Looked at, at most once a second.

import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import type { EventLog } from '@nexusmon/event-log';
import type { Database, LogFeed } from '@nexusmon/projections';
import { processReader } from '@nexusmon/telemetry';
import { VAULT_SUBJECTS } from '@nexusmon/vault-contract';
import { z } from 'zod';
import type { ContextNats } from '@nexusmon/runtime';
import type { Services } from './http/services.js';
import { unavailable } from './http/problem.js';
import { problemOf } from './http/faults.js';

const ROUND_TRIP_MS_MAX = 1_000;
const KNOWN_FOR_MS = 1_000;
/** A moment of hard work is no trouble: only a whole window of it is. */
const BUSY_WINDOW_MS = 3_000;
const BUSY = 0.9;

export const healthStatus = z.enum(['ok', 'degraded', 'read_only', 'down']).meta({ id: 'HealthStatus' });
type HealthStatus = z.infer<typeof healthStatus>;

const check = z.object({ status: healthStatus, detail: z.string().optional() });
type Check = z.infer<typeof check>;

export const healthDocument = z
  .object({
    status: healthStatus,
    checks: z.object({
      nats: check,
      postgres: check,
      vault: check,
      missions: check,
      workers: z.object({ status: healthStatus, detail: z.string().optional(), runners: z.int().optional() }),
      event_loop: z.object({ status: healthStatus, utilization: z.number().optional() }),
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
  version: string;
}>;

export type Overall = Readonly<{ status: HealthStatus; accepting: boolean }>;

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

/** Without any of these nothing is accepted; the rest only makes the system less able. */
const ESSENTIAL = ['nats', 'missions'] as const;

const statusOf = (checks: HealthDocument['checks']): HealthStatus => {
  const essential = ESSENTIAL.map((name) => checks[name].status);
  if (essential.includes('down')) return 'down';
  if (essential.includes('read_only')) return 'read_only';
  return Object.values(checks).every(({ status }) => status === 'ok') ? 'ok' : 'degraded';
};

export class Health {
  private readonly readProcess = processReader();
  private known: Readonly<{ at_ms: number; document: Promise<HealthDocument> }> | undefined;

  private utilization: number | undefined;
  private readonly window: NodeJS.Timeout;

  constructor(private readonly options: HealthOptions) {
    this.readProcess();
    this.window = setInterval(() => (this.utilization = this.readProcess().event_loop_utilization), BUSY_WINDOW_MS);
    this.window.unref();
  }

  close(): void {
    clearInterval(this.window);
  }

  async overall(): Promise<Overall> {
    const { status } = await this.document();
    return { status, accepting: status === 'ok' || status === 'degraded' };
  }

  document(): Promise<HealthDocument> {
    const at_ms = performance.now();
    if (!this.known || at_ms - this.known.at_ms >= KNOWN_FOR_MS) this.known = { at_ms, document: this.look() };
    return this.known.document;
  }

  private async look(): Promise<HealthDocument> {
    const { services, database, version } = this.options;
    let runners: number | undefined;
    const [nats, postgres, vault, missions] = await Promise.all([
      this.natsCheck(),
      looked(() => database.query('select 1')),
      looked(() => services.ask(VAULT_SUBJECTS.list, { limit: 1 })),
      looked(async () => ({ runners } = (await services.ask<{ runners: number }>(MISSION_SUBJECTS.count, {})).body)),
    ]);
    const checks = {
      nats,
      postgres,
      vault,
      missions,
      workers: workersCheck(runners),
      event_loop: loopCheck(this.utilization),
    };
    return { status: statusOf(checks), checks, version, uptime_seconds: process.uptime() };
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

const workersCheck = (runners: number | undefined): HealthDocument['checks']['workers'] => {
  if (runners === undefined) return { status: 'down', detail: 'not known' };
  return runners > 0 ? { status: 'ok', runners } : { status: 'degraded', detail: 'no runner asks for work', runners };
};

/** Nothing is said of it before the first window is over. */
const loopCheck = (utilization: number | undefined): HealthDocument['checks']['event_loop'] => {
  if (utilization === undefined) return { status: 'ok' };
  return { status: utilization > BUSY ? 'degraded' : 'ok', utilization };
};
