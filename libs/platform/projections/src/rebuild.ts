// Rebuild: a projection is folded again from the beginning of the log, beside the one in force, and takes its place.
//
//   B1. The one in force is changed by nothing but the swap, which moves its tables and its checkpoint in one
//       transaction. Whatever ends before that leaves it as it was; what is left over is dropped by the next rebuild.
//   B2. Both digests are of one position: a snapshot of checkpoint and tables is taken at the beginning, and hashed
//       while the shadow is read exactly as far as that checkpoint; then the shadow is hashed, before it goes on.
//   B3. Readers and writers wait for the swap alone, and for less than `LOCK_MS` at a time. Tables are locked before
//       the checkpoint, as a batch does.
//   B4. A difference is told, and the rebuilt one is put in force: it is what the log says. The other is kept beside it
//       until the next rebuild.
//   B5. Several processes may hold the same projection. Who begins a rebuild later ends the one before it, which from
//       then on does nothing to tables of that name, not even when it fails; whoever has rows of before a swap at hand
//       learns of it by the checkpoint's generation.
//   B6. A rebuild is entered in one transaction that sees all others: not while another is at it, and not a second time
//       under the id of one that runs or has not failed. The id only names what was asked for; whose turn it is is told
//       by a random one of each run.

import { createHash } from 'node:crypto';
import { encodePosition, newId, type Position } from '@nexusmon/event-log';
import type { Logger } from '@nexusmon/telemetry';
import { Checkpoints, type Reached, type Standing } from './checkpoint.js';
import { isPassing, type Database, type Sql } from './database.js';
import { readDigest, type TableDigest } from './digest.js';
import { Interest } from './feed-commit.js';
import { WHOLE_COMMIT, type LogFeed } from './log-feed.js';
import { PastCommits, type PastBatch } from './past-commits.js';
import type { Projection } from './projection.js';
import { checkpointFault, endsOf } from './projection-runner.js';
import type { RebuildDocument, RebuiltTable } from './rebuild.document.js';
import { SILENT_SECONDS_MAX } from './rebuilds.js';
import { retryDelay, sleep } from './retry.js';
import { bareName, Overtaken, Shadow } from './shadow.js';
import { shadowSchema } from './shadow-migration.js';

const LOCK_MS = 400;
const LOCK_TRIES_MAX = 40;
const TOLD_MS = 500;
/** Few enough to be read while others wait. */
const NEAR = 256;
const CONNECTIONS_MAX = 4;
const STATEMENT_TIMEOUT_MS = 30 * 60_000;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

export type RebuildOptions = Readonly<{
  projection: Projection;
  database: Database;
  feed: LogFeed;
  log: Logger;
  /** Compare only. */
  check: boolean;
  /** Of whoever asks again for the same one. */
  rebuild_id?: string;
}>;

/** The one in force as it was at one moment (B2). Where it has a fault, nothing of it is hashed. */
type Snapshot = Readonly<{
  standing: readonly Standing[];
  fault: string | undefined;
  hashed: Promise<readonly TableDigest[]>;
}>;

const digestOf = (digests: readonly string[]): string => createHash('sha256').update(digests.join('\n')).digest('hex');

const positionOf = (reached: readonly Reached[]): Position =>
  encodePosition(
    new Map(
      reached.map(({ stream, incarnation, sequence }) => [stream, { incarnation, sequence, index: WHOLE_COMMIT }]),
    ),
  );

const isLocked = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  (error.code === LOCK_NOT_AVAILABLE || error.code === DEADLOCK);

export class Rebuild {
  readonly rebuild_id: string;
  private readonly run_id = newId('run');
  private readonly projection: Projection;
  private readonly past: PastCommits;
  private readonly checkpoints: Checkpoints;
  private readonly stop = new AbortController();
  private readonly reached = new Map<number, Reached>();
  private readonly began_ms = performance.now();
  private document: RebuildDocument;
  /** How many commits there were to read when it was last looked. */
  private total = 1;
  private telling: Promise<void> = Promise.resolve();

  constructor(private readonly options: RebuildOptions) {
    const { projection, check, rebuild_id = newId('rbd') } = options;
    this.rebuild_id = rebuild_id;
    this.projection = projection.plain ?? projection;
    const interest = new Interest(projection.reads, projection.events);
    this.past = new PastCommits(options.feed, interest, this.stop.signal);
    this.checkpoints = new Checkpoints(projection.context, projection.name);
    const started_at = new Date().toISOString();
    const figures = { percent: 0, events: 0, events_per_second: 0, swapped: false };
    this.document = { rebuild_id: this.rebuild_id, status: 'running', check, started_at, ...figures };
    for (const { number: stream, incarnation } of options.feed.identities())
      this.reached.set(stream, { stream, incarnation, sequence: 0, hash: '' });
  }

  /** The document as it was entered at the start; undefined where it was not (B6). The work goes on behind `ended`. */
  async start(): Promise<Readonly<{ document: RebuildDocument; ended: Promise<RebuildDocument> }> | undefined> {
    const { name } = this.projection;
    const database = await this.options.database.beside({
      name: `rebuild of ${name}`,
      connections_max: CONNECTIONS_MAX,
      statement_timeout_ms: STATEMENT_TIMEOUT_MS,
    });
    try {
      const shadow = new Shadow(this.projection, this.run_id, database);
      if (!(await this.enter(database, shadow))) {
        await database.close();
        return undefined;
      }
      const { document } = this;
      return { document, ended: this.run(database, shadow).finally(() => database.close()) };
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** Its end may have been told already: all that is left is soon done. */
  get ending(): boolean {
    return this.document.phase === 'swapping' || this.document.ended_at !== undefined;
  }

  /** Ends it before its time: the projection in force stays. */
  abort(): void {
    this.stop.abort();
  }

  /** Whether it is its turn now (B6). */
  private enter(database: Database, shadow: Shadow): Promise<boolean> {
    const { context, name } = this.projection;
    const entry = [name, this.rebuild_id, this.run_id, JSON.stringify(this.document)];
    return this.calmly(() =>
      database.transaction(async (sql) => {
        await sql.query(`set local lock_timeout = ${LOCK_MS}`);
        // Waits for whoever is entering one of that name.
        const { count } = await sql.query(
          `insert into ${context}.rebuild (name, rebuild_id, run_id, document) values ($1, $2, $3, $4)
           on conflict (name) do nothing`,
          entry,
        );
        if (count === 0 && !(await this.succeed(sql, entry))) return false;
        await sql.query(`select ${context}.shadow_begin($1)`, [shadow.names]);
        return true;
      }),
    );
  }

  /** Takes the place of the last one, which is kept, unless that one or this has been begun. */
  private async succeed(sql: Sql, entry: readonly unknown[]): Promise<boolean> {
    const { context, name } = this.projection;
    await sql.query(`select from ${context}.rebuild where name = $1 for update`, [name]);
    const { rows } = await sql.query(
      `select 1 from ${context}.rebuild where name = $1 and (
         document->>'status' = 'running' and told_at >= now() - $3 * interval '1 second'
         or rebuild_id = $2 and document->>'status' not in ('running', 'failed'))
       union all
       select 1 from ${context}.rebuild_past where rebuild_id = $2 and document->>'status' not in ('running', 'failed')`,
      [name, this.rebuild_id, SILENT_SECONDS_MAX],
    );
    if (rows.length > 0) return false;
    await sql.query(
      `insert into ${context}.rebuild_past (rebuild_id, name, document)
       select rebuild_id, name, document from ${context}.rebuild where name = $1
       on conflict (rebuild_id) do update set document = excluded.document`,
      [name],
    );
    await sql.query(
      `update ${context}.rebuild set rebuild_id = $2, run_id = $3, document = $4, told_at = now() where name = $1`,
      entry,
    );
    return true;
  }

  private async run(database: Database, shadow: Shadow): Promise<RebuildDocument> {
    const { name } = this.projection;
    const { log } = this.options;
    const teller = setInterval(() => this.tell(), TOLD_MS);
    try {
      log.info({ msg: 'rebuild begins', projection: name, rebuild_id: this.rebuild_id });
      await this.rebuild(database, shadow);
    } catch (error) {
      log.warn({ msg: 'rebuild failed', projection: name, rebuild_id: this.rebuild_id, error });
      const reason = error instanceof Error ? error.message : String(error);
      this.document = { ...this.document, status: 'failed', reason };
      await this.giveUp(database, shadow, error);
    } finally {
      clearInterval(teller);
      await this.telling;
      this.stop.abort();
      await this.past.close();
    }
    const { status, events, events_per_second } = this.document;
    log.info({
      msg: 'rebuild ended',
      projection: name,
      rebuild_id: this.rebuild_id,
      status,
      events,
      events_per_second,
    });
    return this.document;
  }

  private async rebuild(database: Database, shadow: Shadow): Promise<void> {
    const before = await this.look(database);
    const { fault } = before;
    this.enterPhase('reading');
    if (fault === undefined) await this.advance(shadow, before.standing);
    else await this.approach(database, shadow, fault);
    await shadow.flush();
    this.enterPhase('indexing');
    const [rebuilt] = await Promise.all([
      this.digests(database, shadowSchema(this.projection.context)),
      this.index(database, shadow),
    ]);
    this.enterPhase('proving');
    this.compare(before, await before.hashed, rebuilt);
    const { status } = this.document;
    if (this.document.check) return this.end(database, status === 'equal' ? shadow : undefined);
    this.enterPhase('swapping');
    await this.approach(database, shadow, fault);
    await this.swap(database, shadow, { status, fault });
  }

  /** B2. What goes wrong with it later ends the rebuild. */
  private look(database: Database): Promise<Snapshot> {
    const { promise: seen, resolve: see, reject: miss } = Promise.withResolvers<Snapshot>();
    const hashed: Promise<readonly TableDigest[]> = database.transaction(async (sql) => {
      await sql.query('set transaction isolation level repeatable read, read only');
      // The first statement takes the snapshot.
      const { rows } = await sql.query<{ backend: number }>('select pg_backend_pid() as backend');
      const standing = await this.checkpoints.read(sql);
      const fault = await checkpointFault(standing, this.options.feed);
      see({ standing, fault, hashed });
      if (fault !== undefined) return [];
      return this.unlessEnded(rows[0]?.backend, () => this.digests(sql, this.projection.context));
    });
    hashed.catch((error: unknown) => {
      miss(error);
      this.stop.abort(error);
    });
    return seen;
  }

  /** A large table is hashed for long: where the rebuild ends before, PostgreSQL is told to leave it. */
  private async unlessEnded<Value>(backend: number | undefined, work: () => Promise<Value>): Promise<Value> {
    const { signal } = this.stop;
    const { database, log } = this.options;
    const cancel = () => {
      const unheard = (error: unknown) => log.warn({ msg: 'hashing goes on', projection: this.projection.name, error });
      database.query('select pg_cancel_backend($1)', [backend]).catch(unheard);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await work();
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  private async digests(sql: Sql, schema: string): Promise<readonly TableDigest[]> {
    const found: TableDigest[] = [];
    for (const { name, key } of this.projection.tables)
      found.push(await readDigest(sql, `${schema}.${bareName(name)}`, key));
    return found;
  }

  private compare(before: Snapshot, live: readonly TableDigest[], rebuilt: readonly TableDigest[]): void {
    if (before.fault !== undefined) {
      this.document = { ...this.document, status: 'replaced', reason: before.fault };
      return;
    }
    const tables = this.projection.tables.map(({ name: table }, place): RebuiltTable => {
      const { rows = 0, digest: rebuilt_digest = '' } = rebuilt[place] ?? {};
      return { table, rows, live_digest: live[place]?.digest ?? '', rebuilt_digest };
    });
    const [live_digest, rebuilt_digest] = [live, rebuilt].map((all) => digestOf(all.map(({ digest }) => digest)));
    const status = live_digest === rebuilt_digest ? 'equal' : 'different';
    const position = positionOf(before.standing);
    this.document = { ...this.document, status, position, live_digest, rebuilt_digest, tables };
  }

  /** Until little is left between the shadow and the one in force. */
  private async approach(database: Database, shadow: Shadow, fault: string | undefined): Promise<void> {
    for (;;) {
      const target = await this.target(database, fault);
      const left = target.reduce((sum, { stream, sequence }) => sum + sequence - this.sequenceOf(stream), 0);
      await this.advance(shadow, target);
      if (left <= NEAR) return;
    }
  }

  /** Where the one in force stands; where that cannot be said, what this process has read. */
  private async target(sql: Sql, fault: string | undefined): Promise<readonly Reached[]> {
    if (fault === undefined) return this.checkpoints.read(sql);
    const { feed } = this.options;
    return [...this.reached.values()].map((reached) => ({ ...reached, sequence: feed.dispatchedOf(reached.stream) }));
  }

  private sequenceOf(stream: number): number {
    return this.reached.get(stream)?.sequence ?? 0;
  }

  private async advance(shadow: Shadow, target: readonly Reached[]): Promise<void> {
    this.total = target.reduce((sum, { sequence }) => sum + sequence, 0);
    for (const { stream, sequence } of target)
      for await (const batch of this.past.read(stream, sequence - this.sequenceOf(stream))) {
        await this.fold(shadow, batch);
        for (const end of endsOf(batch.commits)) this.reached.set(end.stream, end);
      }
  }

  private async fold(shadow: Shadow, batch: PastBatch): Promise<void> {
    for await (const open of this.past.open(batch)) {
      await shadow.fold(open);
      for (const { events } of open) this.document.events += events.length;
      this.stop.signal.throwIfAborted();
    }
  }

  /** Nobody moves the checkpoint, and nobody writes rows, while `work` is done at it (B3). */
  private still<Value>(
    database: Database,
    shadow: Shadow,
    work: (sql: Sql, standing: readonly Standing[]) => Promise<Value>,
  ): Promise<Value> {
    const { context } = this.projection;
    const tables = shadow.names.map((table) => `${context}.${table}`).join(', ');
    return this.calmly(() =>
      database.transaction(async (sql) => {
        await sql.query(`set local lock_timeout = ${LOCK_MS}`);
        if (tables !== '') await sql.query(`lock table ${tables} in exclusive mode`);
        return work(sql, await this.checkpoints.read(sql, 'for update'));
      }),
    );
  }

  /** Somebody reads just now: the lock is asked for again, so that others are not kept waiting behind it. */
  private async calmly<Value>(work: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt += 1) {
      this.stop.signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!isLocked(error) || attempt >= LOCK_TRIES_MAX) throw error;
        await sleep(retryDelay(attempt), this.stop.signal);
      }
    }
  }

  /** B1. */
  private async swap(
    database: Database,
    shadow: Shadow,
    { status, fault }: Readonly<{ status: RebuildDocument['status']; fault: string | undefined }>,
  ): Promise<void> {
    const { context } = this.projection;
    const document = await this.still(database, shadow, async (sql, standing) => {
      if (fault === undefined) await this.advance(shadow, standing);
      await shadow.flush();
      await this.insist(sql, 'for update');
      await sql.query(`select ${context}.shadow_swap($1)`, [shadow.names]);
      if (status === 'equal') await this.drop(sql, shadow);
      await this.checkpoints.replace(sql, [...this.reached.values()]);
      const ended = this.ended({ status, swapped: true });
      await this.write(sql, ended);
      return ended;
    });
    this.document = document;
  }

  private ended(more: Partial<RebuildDocument>): RebuildDocument {
    const { phase: _, ...document } = { ...this.document, ...this.figures(), ...more };
    return { ...document, percent: 100, ended_at: new Date().toISOString() };
  }

  private async end(database: Database, leftover: Shadow | undefined): Promise<void> {
    this.document = this.ended({});
    await this.leave(database, leftover);
  }

  /** Its last word, and the end of the tables that nobody needs any more. */
  private leave(database: Database, leftover: Shadow | undefined): Promise<void> {
    return database.transaction(async (sql) => {
      await this.insist(sql, 'for update');
      if (leftover) await this.drop(sql, leftover);
      await this.write(sql, this.document);
    });
  }

  /** B5. With `for update` nobody can begin before this transaction ends. */
  private async insist(sql: Sql, lock: '' | 'for update'): Promise<void> {
    const { context, name } = this.projection;
    const { rows } = await sql.query(`select from ${context}.rebuild where name = $1 and run_id = $2 ${lock}`, [
      name,
      this.run_id,
    ]);
    if (rows.length === 0) throw new Overtaken(`another rebuild of ${name} has begun`);
  }

  /**
   * It takes long, and its progress is told in the row that says whose turn it is: so the tables are held instead. Who
   * begins makes them anew, and cannot while they are; who has begun is seen once they are.
   */
  private index(database: Database, shadow: Shadow): Promise<void> {
    const { context } = this.projection;
    const tables = shadow.names.map((table) => `${shadowSchema(context)}.${table}`).join(', ');
    return database.transaction(async (sql) => {
      if (tables !== '') await sql.query(`lock table ${tables} in share mode`);
      await this.insist(sql, '');
      await sql.query(`select ${context}.shadow_index($1)`, [shadow.names]);
    });
  }

  private drop(sql: Sql, shadow: Shadow): Promise<unknown> {
    return sql.query(`select ${this.projection.context}.shadow_drop($1)`, [shadow.names]);
  }

  /** What cannot be cleared away now is cleared away by the next rebuild. */
  private async giveUp(database: Database, shadow: Shadow, because: unknown): Promise<void> {
    this.document = { ...this.ended({}), percent: this.figures().percent };
    if (because instanceof Overtaken || isPassing(because)) return;
    try {
      await this.leave(database, shadow);
    } catch (error) {
      // Nothing is left that is its own.
      if (error instanceof Overtaken) return;
      this.options.log.warn({ msg: 'a failed rebuild left its tables', projection: this.projection.name, error });
    }
  }

  private enterPhase(phase: RebuildDocument['phase']): void {
    this.document = { ...this.document, phase };
    this.tell();
  }

  private figures(): Pick<RebuildDocument, 'percent' | 'events_per_second'> {
    const seconds = (performance.now() - this.began_ms) / 1_000;
    const read = [...this.reached.values()].reduce((sum, { sequence }) => sum + sequence, 0);
    return {
      percent: Math.min(99, Math.floor((100 * read) / Math.max(1, this.total))),
      events_per_second: Math.round(this.document.events / seconds),
    };
  }

  /** Whoever asks is told from the database. An end that was entered meanwhile stays. */
  private tell(): void {
    const { context, name } = this.projection;
    const document = { ...this.document, ...this.figures(), status: 'running' };
    this.telling = this.telling
      .then(() =>
        this.options.database.query(
          `update ${context}.rebuild set document = $3, told_at = now()
           where name = $1 and run_id = $2 and document->>'status' = 'running'`,
          [name, this.run_id, JSON.stringify(document)],
        ),
      )
      .then(
        () => undefined,
        (error: unknown) => this.options.log.warn({ msg: 'progress of a rebuild not told', projection: name, error }),
      );
  }

  private write(sql: Sql, document: RebuildDocument): Promise<unknown> {
    const { context, name } = this.projection;
    return sql.query(`update ${context}.rebuild set document = $3, told_at = now() where name = $1 and run_id = $2`, [
      name,
      this.run_id,
      JSON.stringify(document),
    ]);
  }
}
