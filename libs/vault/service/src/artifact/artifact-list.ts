// Reading the list of artifacts: the newest first, by place in the log, so that a page never shifts while others are
// added in front of it.

import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '@nexusmon/projections';
import { fittingCount, type Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument, listArtifacts } from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ARTIFACT_VIEW } from './artifact.projection.js';

export type ListedArtifact = Readonly<{ document: ArtifactDocument; position: string }>;

export type ListQuery = Readonly<Omit<z.infer<typeof listArtifacts>, 'min_position'>>;

const BATCH = 200;
const CURSOR = /^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,5})$/;

/** Columns that a filter compares, under the names that the filter has. */
const COMPARED = ['mission_id', 'task_id', 'name', 'kind', 'deleted', 'damaged'] as const;
/** Among those of a mission, what others have of the same name stands in front of nothing. */
const latestOf = (of_mission: boolean) => `not deleted and not exists (
  select from ${ARTIFACT_VIEW} later where later.name = artifact.name and later.version > artifact.version
  and not later.deleted${of_mission ? ' and later.mission_id = artifact.mission_id' : ''})`;

type ViewRow = { document: ArtifactDocument; position: string; place: number; position_text: string };

@Injectable()
export class ArtifactList {
  constructor(private readonly database: Database) {}

  async get(artifact_id: string): Promise<ListedArtifact | undefined> {
    const { rows } = await this.database.query<ViewRow>(
      `select document, position_text from ${ARTIFACT_VIEW} where artifact_id = $1`,
      [artifact_id],
    );
    const [row] = rows;
    return row && { document: row.document, position: row.position_text };
  }

  /** Those of these ids that there are, in any order. */
  async having(artifact_ids: readonly string[]): Promise<readonly ArtifactDocument[]> {
    if (artifact_ids.length === 0) return [];
    const { rows } = await this.database.query<Pick<ViewRow, 'document'>>(
      `select document from ${ARTIFACT_VIEW} where artifact_id = any($1)`,
      [artifact_ids],
    );
    return rows.map(({ document }) => document);
  }

  /** What a command has uploaded, of whatever name. */
  async uploadedBy(command_id: string): Promise<ArtifactDocument | undefined> {
    const { rows } = await this.database.query<Pick<ViewRow, 'document'>>(
      `select document from ${ARTIFACT_VIEW} where upload_command = $1 order by position, place limit 1`,
      [command_id],
    );
    return rows[0]?.document;
  }

  /** Whether an artifact still needs the bytes of this digest. */
  async needs(sha256: string, sql: Sql = this.database): Promise<boolean> {
    const { rows } = await sql.query(`select from ${ARTIFACT_VIEW} where sha256 = $1 and not deleted limit 1`, [
      sha256,
    ]);
    return rows.length > 0;
  }

  /** Those that need these bytes and are thought to be damaged, or not, by id after one; some hundreds at a time. */
  async withBytes(
    sha256: string,
    { damaged, after }: Readonly<{ damaged: boolean; after: string }>,
  ): Promise<readonly ArtifactDocument[]> {
    const { rows } = await this.database.query<Pick<ViewRow, 'document'>>(
      `select document from ${ARTIFACT_VIEW}
       where sha256 = $1 and not deleted and damaged = $2 and artifact_id > $3 order by artifact_id limit ${BATCH}`,
      [sha256, damaged, after],
    );
    return rows.map(({ document }) => document);
  }

  /** The next blob that is needed, in the order of digests. */
  async blobAfter(sha256: string): Promise<Pick<ArtifactDocument, 'artifact_id' | 'sha256' | 'size'> | undefined> {
    const { rows } = await this.database.query<Pick<ViewRow, 'document'>>(
      `select document from ${ARTIFACT_VIEW} where sha256 > $1 and not deleted order by sha256, artifact_id limit 1`,
      [sha256],
    );
    return rows[0]?.document;
  }

  async countDamaged(): Promise<number> {
    const { rows } = await this.database.query<{ count: string }>(
      `select count(*) from ${ARTIFACT_VIEW} where damaged and not deleted`,
    );
    return Number(rows[0]?.count ?? 0);
  }

  /** Undefined for a cursor that was not given out here. */
  async page({ limit, cursor, latest, ...filter }: ListQuery): Promise<Page<ArtifactDocument> | undefined> {
    const after = cursor === undefined ? undefined : CURSOR.exec(cursor);
    if (after === null) return undefined;
    const values: unknown[] = [];
    const bind = (value: unknown) => `$${values.push(value)}`;
    const conditions = COMPARED.flatMap((column) =>
      filter[column] === undefined ? [] : [`${column} = ${bind(filter[column])}`],
    );
    if (latest) conditions.push(latestOf(filter.mission_id !== undefined));
    if (after) conditions.push(`(position, place) < (${bind(after[1])}::bigint, ${bind(after[2])}::integer)`);
    const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
    const { rows } = await this.database.query<ViewRow>(
      `select document, position, place from ${ARTIFACT_VIEW} artifact ${where}
       order by position desc, place desc limit ${bind(limit + 1)}`,
      values,
    );
    const documents = rows.slice(0, limit).map(({ document }) => document);
    // Each may name a thousand inputs: a page of them can be too large for one answer.
    const data = documents.slice(0, fittingCount(documents));
    const last = data.length < rows.length ? rows[data.length - 1] : undefined;
    return { data, next_cursor: last ? `${last.position}-${last.place}` : null };
  }
}
