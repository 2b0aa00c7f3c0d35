// Stage changes: from reckonings, which can be thrown away and made anew, to events, which stand.
//
//   C1. Reckonings are taken in their order, from the one that last changed the stage on: a late one changes nothing.
//   C2. Whatever calls together is answered by one look that began after the last of the calls.

import { Injectable } from '@nestjs/common';
import { EventLog, keyedId } from '@nexusmon/event-log';
import type { Reckoning } from '@nexusmon/evolution-domain';
import { xpOf } from '@nexusmon/evolution-domain';
import { reviewEvents } from '@nexusmon/governance-contract';
import { missionEvents } from '@nexusmon/mission-contract';
import { Database, type Reactor } from '@nexusmon/projections';
import { PROGRESS_PROJECTION, RECKONING_VIEW } from '../progress/progress.projection.js';
import { STAGE_ID, stageAggregate } from './stage.aggregate.js';

const SERVICE = 'service:evolution';

type ReckoningRow = Readonly<Omit<Reckoning, 'xp'> & { xp_tenths: number; event_id: string }>;

@Injectable()
export class StageChanges {
  /** The last reckoning that the stage is known to have heard of. */
  private heard: number | undefined;
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;

  constructor(
    private readonly log: EventLog,
    private readonly database: Database,
  ) {}

  /** Has the stage take every reckoning that the view holds by now. */
  settle(): Promise<void> {
    if (this.next) return this.next;
    if (!this.running) return this.begin();
    // Whoever called before is told what went wrong.
    this.next = this.running.then(
      () => this.begin(),
      () => this.begin(),
    );
    return this.next;
  }

  private begin(): Promise<void> {
    this.next = undefined;
    const run = this.takeAll().finally(() => {
      if (this.running === run) this.running = undefined;
    });
    this.running = run;
    return run;
  }

  private async takeAll(): Promise<void> {
    this.heard ??= (await this.log.load(stageAggregate, STAGE_ID)).state.revision;
    const { rows } = await this.database.query<ReckoningRow>(
      `select * from ${RECKONING_VIEW} where revision > $1 order by revision`,
      [this.heard],
    );
    for (const { event_id, xp_tenths, ...reckoning } of rows) {
      await this.take(event_id, { ...reckoning, xp: xpOf(xp_tenths) });
      this.heard = reckoning.revision;
    }
  }

  private async take(event_id: string, data: Reckoning): Promise<void> {
    const outcome = await this.log.execute(stageAggregate, STAGE_ID, {
      command_id: keyedId('cmd', 'evolution.stage', event_id),
      correlation_id: STAGE_ID,
      command: { type: 'TakeReckoning', actor: SERVICE, data },
    });
    if (outcome.kind === 'rejected')
      throw new Error(`reckoning ${data.revision} was refused: ${outcome.rejection.code}`);
  }
}

/** Whatever changes the totals may change the stage. */
export const changeStage = (changes: StageChanges): Reactor => ({
  name: 'evolution.stage',
  context: 'evolution',
  reads: [
    { context: 'mission', name: 'mission', events: missionEvents },
    { context: 'governance', name: 'review', events: reviewEvents },
  ],
  events: ['MissionCompleted', 'ReviewGiven'],
  after: [PROGRESS_PROJECTION],
  react: () => changes.settle(),
});
