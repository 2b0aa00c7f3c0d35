// Clock loop: sends what is due. A timer is a `due_at` in an event, which a projection has put into a column.
//
//   C1. Whatever is due is sent, late rather than never: also after the process, or the database, was away.
//   C2. Late, repeated and concurrent firings are harmless: the decider refuses what is not due or was done. The pauses
//       here only save work.

import { counter, type Logger } from '@nexusmon/telemetry';
import type { Database } from './database.js';
import { retryDelay, sleep } from './retry.js';

export type Clock = Readonly<{
  name: string;
  /** With its schema. */
  table: string;
  id_column: string;
  /** RFC 3339 UTC with milliseconds, as text, or null: the next instant at which there is something to do. */
  due_column?: string;
  due: (id: string, due_at: string) => Promise<void>;
}>;

const POLL_MS = 200;
const ROWS_MAX = 500;
const CONCURRENT_MAX = 16;
/** After a firing its row is left alone for this long: the projection needs a moment to show what came of it. */
const SETTLE_MS = 1_000;
/** How long the number of failures is remembered after its pause. */
const RETRY_KEPT_MS = 10_000;
const NAME = /^[a-z_]+\.[a-z_]+$/;
const COLUMN = /^[a-z_]+$/;

const fired = counter('nexusmon_timers_fired', { says: 'Due rows that were handled.' });

type Pause = { due_at: string; until_ms: number; failures: number };
type Due = { id: string; due_at: string };

export class ClockLoop {
  private readonly stop = new AbortController();
  private readonly pauses = new Map<string, Pause>();
  private readonly sql: string;
  private running: Promise<void> = Promise.resolve();

  constructor(
    readonly clock: Clock,
    private readonly database: Database,
    private readonly log: Logger,
    private readonly now_ms: () => number = Date.now,
  ) {
    const { table, id_column, due_column = 'next_due_at' } = clock;
    if (!NAME.test(table) || !COLUMN.test(id_column) || !COLUMN.test(due_column))
      throw new TypeError(`${table} (${id_column}, ${due_column}) is not a table of ours`);
    this.sql = `select ${id_column} as id, ${due_column} as due_at from ${table}
      where ${due_column} <= $1 and not (${id_column} = any($2)) order by ${due_column} limit ${ROWS_MAX}`;
  }

  start(): void {
    this.running = this.run();
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.stop.signal.aborted;) {
      try {
        await this.tick();
        failures = 0;
      } catch (error) {
        failures += 1;
        this.log.warn({ msg: 'clock tries again', clock: this.clock.name, error });
      }
      await sleep(failures > 0 ? retryDelay(failures) : POLL_MS, this.stop.signal);
    }
  }

  private async tick(): Promise<void> {
    const now_ms = this.now_ms();
    for (const [id, { until_ms }] of this.pauses) if (until_ms <= now_ms - RETRY_KEPT_MS) this.pauses.delete(id);
    const paused = [...this.pauses].filter(([, { until_ms }]) => until_ms > now_ms).map(([id]) => id);
    const { rows } = await this.database.query<Due>(this.sql, [new Date(now_ms).toISOString(), paused]);
    const waiting = [...rows];
    const worker = async () => {
      for (let row = waiting.shift(); row && !this.stop.signal.aborted; row = waiting.shift()) await this.fire(row);
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENT_MAX, waiting.length) }, worker));
  }

  private async fire({ id, due_at }: Due): Promise<void> {
    const before = this.pauses.get(id);
    try {
      await this.clock.due(id, due_at);
      fired({ clock: this.clock.name });
      this.pauses.set(id, { due_at, until_ms: this.now_ms() + SETTLE_MS, failures: 0 });
    } catch (error) {
      const failures = (before?.due_at === due_at ? before.failures : 0) + 1;
      this.pauses.set(id, { due_at, until_ms: this.now_ms() + retryDelay(failures), failures });
      this.log.warn({ msg: 'timer failed', clock: this.clock.name, id, due_at, failures, error });
    }
  }
}
