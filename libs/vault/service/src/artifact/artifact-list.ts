// Reading the list of artifacts: the newest first, by place in the log, so that a page never shifts while others are
// added in front of it.

import { Injectable } from '@nestjs/common';
import { Database } from '@nexusmon/projections';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument } from '@nexusmon/vault-contract';
import { ARTIFACT_VIEW } from './artifact.projection.js';

export type ListedArtifact = Readonly<{ document: ArtifactDocument; position: string }>;

export type ListQuery = Readonly<{ limit: number; cursor?: string | undefined } & Filter>;
type Filter = Readonly<{ mission_id?: string | undefined; name?: string | undefined }>;

const CURSOR = /^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,5})$/;

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

  /** Undefined for a cursor that was not given out here. */
  async page({ limit, cursor, mission_id, name }: ListQuery): Promise<Page<ArtifactDocument> | undefined> {
    const after = cursor === undefined ? undefined : CURSOR.exec(cursor);
    if (after === null) return undefined;
    const { rows } = await this.database.query<ViewRow>(
      `select document, position, place from ${ARTIFACT_VIEW}
       where ($1::text is null or mission_id = $1) and ($2::text is null or name = $2)
         and ($3::bigint is null or (position, place) < ($3, $4::integer))
       order by position desc, place desc limit $5`,
      [mission_id ?? null, name ?? null, after?.[1] ?? null, after?.[2] ?? null, limit + 1],
    );
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    const next_cursor = rows.length > limit && last ? `${last.position}-${last.place}` : null;
    return { data: shown.map(({ document }) => document), next_cursor };
  }
}
