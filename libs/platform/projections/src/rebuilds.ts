import type { Sql } from './database.js';
import type { RebuildDocument } from './rebuild.document.js';

/** A rebuild says every half second that it is at it; one that says nothing for so long has ended with its process. */
export const SILENT_SECONDS_MAX = 10;

type RebuildRow = { name: string; document: RebuildDocument; silent: boolean };

const toldOf = ({ document, silent }: RebuildRow): RebuildDocument =>
  silent && document.status === 'running'
    ? { ...document, status: 'failed', reason: 'it has not been heard of: its process may have ended' }
    : document;

/** What was last told of each projection's rebuild, whichever process runs it. */
export const readRebuilds = async (sql: Sql, context: string): Promise<ReadonlyMap<string, RebuildDocument>> => {
  const { rows } = await sql.query<RebuildRow>(
    `select name, document, told_at < now() - $1 * interval '1 second' as silent from ${context}.rebuild`,
    [SILENT_SECONDS_MAX],
  );
  return new Map(rows.map((row) => [row.name, toldOf(row)]));
};

/** The one of this id, however long ago: as it was last begun. */
export const readRebuild = async (
  sql: Sql,
  context: string,
  rebuild_id: string,
): Promise<RebuildDocument | undefined> => {
  const { rows } = await sql.query<RebuildRow>(
    `select name, document, told_at < now() - $1 * interval '1 second' as silent, false as past from ${context}.rebuild
     where rebuild_id = $2
     union all select name, document, true, true from ${context}.rebuild_past where rebuild_id = $2
     order by past`,
    [SILENT_SECONDS_MAX, rebuild_id],
  );
  return rows[0] && toldOf(rows[0]);
};
