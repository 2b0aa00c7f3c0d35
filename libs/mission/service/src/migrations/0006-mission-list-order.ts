import { Migration } from '@nexusmon/projections';

/** As `foldCase` has it. */
const FOLDED = `translate(
  lower(replace(goal, U&'\\0130', U&'i\\0307') collate pg_catalog.pg_c_utf8), U&'\\03C2', U&'\\03C3')`;
/** Of what is there already. */
export const FOLD_GOALS = `update mission.mission_goal_view set goal = ${FOLDED}
  where goal is distinct from ${FOLDED};`;

/**
 * Ranges of times are read in their order. Goals are kept as they are searched: to fold one anew for each search costs
 * more than to look through it. Columns of a list depend on each other, rank and review most of all: what two of them
 * leave over together cannot be told from what each does. States are written and read whole, and nothing looks into
 * them here: as text they are smaller, and neither taken apart nor put together. How large each is is known without
 * reading it. What is rewritten here is counted at once: until then a list would be looked for as if there were none.
 */
export class MissionListOrder extends Migration {
  override up(): void {
    this.addSql('create index on mission.mission_list_view (created_at, created_position);');
    this.addSql('drop index mission.mission_list_view_created_at_idx;');
    this.addSql(`create statistics mission.mission_list_together (mcv) on
      status, category, rank, effective_rank, requested_by, awaits_approval, flagged from mission.mission_list_view;`);
    this.addSql(FOLD_GOALS);
    this.addSql(`alter table mission.mission_view alter column state type json using state::json,
      add column state_bytes integer not null generated always as (octet_length(state::text)) stored;`);
    this.addSql('analyze mission.mission_view, mission.mission_list_view, mission.mission_goal_view;');
  }
}
