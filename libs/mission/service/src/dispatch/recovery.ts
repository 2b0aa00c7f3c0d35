import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Logger } from '@nexusmon/telemetry';
import { Database, Projections } from '@nexusmon/projections';
import { MissionLog } from '../mission/mission-log.js';
import { MISSION_VIEW } from '../mission/mission.projection.js';
import { Dispatcher } from './dispatcher.js';

const START_CHECK_MS = 50;
const SWEEP_MS = 5_000;
/** Only missions that have been still for a while are looked at again: the others have told of themselves. */
const STILL_MS = 5_000;
const BATCH = 500;

/**
 * Fills the dispatcher's caches from the view: once when the view has caught up after a start, and again and again for
 * missions that another process moved. A mission that could run is therefore never forgotten for long.
 */
@Injectable()
export class Recovery implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly projections: Projections,
    private readonly database: Database,
    private readonly missions: MissionLog,
    private readonly dispatcher: Dispatcher,
    private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.after(START_CHECK_MS, 0);
  }

  onModuleDestroy(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private after(ms: number, still_ms: number): void {
    if (!this.stopped) this.timer = setTimeout(() => void this.turn(still_ms), ms);
  }

  private async turn(still_ms: number): Promise<void> {
    if (!this.projections.caughtUp()) {
      this.after(START_CHECK_MS, still_ms);
      return;
    }
    try {
      await this.sweep(new Date(Date.now() - still_ms).toISOString());
      this.after(SWEEP_MS, STILL_MS);
    } catch (error) {
      this.log.warn({ msg: 'active missions not looked at, will try again', error });
      this.after(SWEEP_MS, still_ms);
    }
  }

  private async sweep(updated_before: string): Promise<void> {
    for (let after = ''; !this.stopped;) {
      const { rows } = await this.database.query<{ mission_id: string }>(
        `select mission_id from ${MISSION_VIEW} where active and mission_id > $1 and updated_at <= $2
         order by mission_id limit ${BATCH}`,
        [after, updated_before],
      );
      for (const { mission_id } of rows)
        this.dispatcher.observe(mission_id, (await this.missions.load(mission_id)).state);
      const last = rows.at(-1);
      if (!last || rows.length < BATCH) return;
      after = last.mission_id;
    }
  }
}
