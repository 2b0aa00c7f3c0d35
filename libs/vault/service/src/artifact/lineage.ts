// Lineage: what an artifact was made from, and what was made from it
//
//   L1. Inputs are there before what is made of them, so that there is no circle, and what lies behind an artifact
//       never lies before it too.
//   L2. Bounded both ways, by steps, by the number of artifacts and by what one answer holds: an artifact whose
//       neighbours are not all shown says so, and its own lineage goes on from there.

import { Injectable } from '@nestjs/common';
import { Database } from '@nexusmon/projections';
import { ANSWER_BYTES_MAX, bytesOf, fittingCount } from '@nexusmon/shared-contract';
import type { askLineage, LineageDocument, LineageNode } from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ArtifactList } from './artifact-list.js';
import { ARTIFACT_INPUT } from './artifact.projection.js';

/** A thousand artifacts may each have been made from the same thousand. */
const EDGES_MAX = 5_000;

type Asked = Readonly<Omit<z.infer<typeof askLineage>, 'min_position'>>;
type Edge = LineageDocument['edges'][number];
type Way = Readonly<{ from: keyof Edge; to: keyof Edge; step: 1 | -1 }>;

const WAYS: Readonly<Record<'inputs' | 'derived', Way>> = {
  inputs: { from: 'artifact_id', to: 'input_id', step: -1 },
  derived: { from: 'input_id', to: 'artifact_id', step: 1 },
};

/** What has been found so far, over both ways. */
type Found = Readonly<{ distances: Map<string, number>; rims: Set<string>; edges: Edge[] }>;

@Injectable()
export class Lineage {
  constructor(
    private readonly database: Database,
    private readonly list: ArtifactList,
  ) {}

  /** Of an artifact that there is. */
  async of({ artifact_id, direction, depth, limit }: Asked): Promise<LineageDocument> {
    const found: Found = { distances: new Map([[artifact_id, 0]]), rims: new Set(), edges: [] };
    const ways = direction === 'both' ? (['inputs', 'derived'] as const) : [direction];
    for (const [index, way] of ways.entries()) {
      // The first of two ways leaves the second its share of the room.
      const room = Math.ceil((limit - found.distances.size) / (ways.length - index));
      await this.follow(WAYS[way], artifact_id, depth, found.distances.size + room, found);
    }
    const nodes = await this.nodesOf(found);
    return fitted({ artifact_id, nodes, edges: found.edges, truncated: found.rims.size > 0 });
  }

  private async follow(way: Way, start: string, depth: number, nodes_max: number, found: Found): Promise<void> {
    let frontier = [start];
    // One step more than is shown, to know whether it ends there.
    for (let step = 1; frontier.length > 0 && step <= depth + 1; step += 1) {
      const { edges, cut_at } = await this.edgesOf(way, frontier, EDGES_MAX - found.edges.length);
      // Edges come in the order of their beginnings: whose had begun when there was no more room are not all there.
      if (cut_at !== undefined) for (const id of frontier) if (id >= cut_at) found.rims.add(id);
      const next: string[] = [];
      for (const edge of edges) {
        const [here, there] = [edge[way.from], edge[way.to]];
        if (!found.distances.has(there)) {
          if (step > depth || found.distances.size >= nodes_max) {
            found.rims.add(here);
            continue;
          }
          found.distances.set(there, step * way.step);
          next.push(there);
        }
        found.edges.push(edge);
      }
      frontier = next;
    }
  }

  private async edgesOf({ from, to }: Way, ids: readonly string[], room: number) {
    const { rows } = await this.database.query<Edge>(
      `select artifact_id, input_id from ${ARTIFACT_INPUT} where ${from} = any($1) order by ${from}, ${to} limit $2`,
      [ids, room + 1],
    );
    const [edges, [cut]] = [rows.slice(0, room), rows.slice(room)];
    return { edges, cut_at: cut?.[from] };
  }

  private async nodesOf({ distances, rims }: Found): Promise<LineageNode[]> {
    const documents = await this.list.having([...distances.keys()]);
    return documents
      .map((artifact) => {
        const { artifact_id } = artifact;
        return { artifact, distance: distances.get(artifact_id) ?? 0, more: rims.has(artifact_id) };
      })
      .toSorted((a, b) => Math.abs(a.distance) - Math.abs(b.distance) || a.distance - b.distance);
  }
}

/** Without the farthest, as far as all do not fit into one answer. What leads to a nearer one is nearer itself. */
const fitted = (lineage: LineageDocument): LineageDocument => {
  const { nodes, edges } = lineage;
  const kept = nodes.slice(0, fittingCount(nodes, ANSWER_BYTES_MAX - bytesOf(edges)));
  if (kept.length === nodes.length) return lineage;
  const shown = new Set(kept.map(({ artifact }) => artifact.artifact_id));
  const cut = new Set<string>();
  const left = edges.filter(({ input_id, artifact_id }) => {
    if (shown.has(input_id) && shown.has(artifact_id)) return true;
    cut.add(input_id).add(artifact_id);
    return false;
  });
  const marked = kept.map((node) => (cut.has(node.artifact.artifact_id) ? { ...node, more: true } : node));
  return { ...lineage, nodes: marked, edges: left, truncated: true };
};
