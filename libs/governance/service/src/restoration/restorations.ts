import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { EventLog, keyedId, type Aggregate } from '@nexusmon/event-log';
import { restorationEvents, signed_restoration, type RestorationEvent } from '@nexusmon/governance-contract';
import {
  restoration,
  type RestorationCommand,
  type RestorationRejection,
  type RestorationState,
} from '@nexusmon/governance-domain';
import { z } from 'zod';

const restorationAggregate: Aggregate<RestorationState, RestorationCommand, RestorationEvent, RestorationRejection> = {
  context: 'governance',
  name: 'restoration',
  decider: restoration,
  events: restorationEvents,
};

/** `key_id`: of the operator, under which the reason is sealed. */
const recordRequest = z.strictObject({ key_id: z.string(), said: signed_restoration });
const OPERATOR = 'operator:owner';

/** The record of a log that was put back, written before anything else is. */
@Injectable()
export class Restorations {
  constructor(private readonly log: EventLog) {}

  /** The file is as the restore has written it. */
  async recordFrom(file: string): Promise<void> {
    const { key_id, said: data } = recordRequest.parse(JSON.parse(await readFile(file, 'utf8')));
    const { restoration_id } = data;
    const outcome = await this.log.execute(
      restorationAggregate,
      restoration_id,
      {
        command_id: keyedId('cmd', 'restoration', restoration_id),
        correlation_id: restoration_id,
        command: { type: 'RecordRestoration', actor: OPERATOR, data },
      },
      { key_id },
    );
    if (outcome.kind === 'rejected') throw new Error(`the restoration is refused: ${outcome.rejection.code}`);
  }
}
