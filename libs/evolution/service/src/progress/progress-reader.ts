import { Injectable } from '@nestjs/common';
import type { Capability, RulingDocument } from '@nexusmon/evolution-contract';
import { rulingOf, type GrantState, type Totals } from '@nexusmon/evolution-domain';
import { Database } from '@nexusmon/projections';
import { GRANT_VIEW } from '../grant/grant.projection.js';
import { ORGANISM, TOTAL_VIEW } from './progress.projection.js';

const NOTHING_YET: Totals = { count: 0, xp_tenths: 0, verified_missions: 0 };

/** What progress is read from. */
@Injectable()
export class ProgressReader {
  constructor(private readonly database: Database) {}

  async totals(): Promise<Totals> {
    const { rows } = await this.database.query<Totals>(
      `select count, xp_tenths, verified_missions from ${TOTAL_VIEW} where name = $1`,
      [ORGANISM],
    );
    return rows[0] ?? NOTHING_YET;
  }

  async rulings(): Promise<ReadonlyMap<Capability, RulingDocument>> {
    const { rows } = await this.database.query<{ state: GrantState }>(`select state from ${GRANT_VIEW}`);
    const ruled = rows.flatMap(({ state }) => {
      const ruling = rulingOf(state);
      return state.status === 'unruled' || !ruling ? [] : [[state.capability, ruling] as const];
    });
    return new Map(ruled);
  }
}
