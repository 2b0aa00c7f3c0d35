// One mission is one trace: whatever is done for it, whenever and because of whom, belongs to the trace of the request
// that created it.
//
//   T1. A cache over the view: losing it costs a read.
//   T2. A mission of unknown trace (its view is behind, or away) is worked on in the present one: no work waits for it.

import { Injectable } from '@nestjs/common';
import { Database, isPassing } from '@nexusmon/projections';
import { presentTrace, traceparent, withTraceparent } from '@nexusmon/telemetry';
import { LRUCache } from 'lru-cache';
import { MISSION_VIEW } from './mission.projection.js';

const KEPT_MAX = 20_000;
/** In a traceparent. */
const TRACE_ID_AT = '00-'.length;

@Injectable()
export class MissionTraces {
  private readonly known = new LRUCache<string, string>({ max: KEPT_MAX });

  constructor(private readonly database: Database) {}

  /** The present trace is that of a mission which is being created. */
  begin(mission_id: string): void {
    const present = traceparent();
    if (present !== undefined && !this.known.has(mission_id)) this.known.set(mission_id, present);
  }

  /** Runs `work` in the mission's trace: as a part of what is going on where that is in it already. */
  async within<Result>(mission_id: string, work: () => Promise<Result>): Promise<Result> {
    const trace = this.known.get(mission_id) ?? (await this.read(mission_id));
    const present = presentTrace();
    if (trace === undefined || (present && trace.startsWith(present.trace_id, TRACE_ID_AT))) return work();
    return withTraceparent(trace, work);
  }

  private async read(mission_id: string): Promise<string | undefined> {
    try {
      const { rows } = await this.database.query<{ traceparent: string | null }>(
        `select traceparent from ${MISSION_VIEW} where mission_id = $1`,
        [mission_id],
      );
      const found = rows[0]?.traceparent ?? undefined;
      if (found !== undefined) this.known.set(mission_id, found);
      return found;
    } catch (error) {
      if (!isPassing(error)) throw error;
      return undefined; // T2
    }
  }
}
