import { isBelow } from '@nexusmon/mission-domain';
import type { Asked, Rank, Reply } from '@nexusmon/shared-contract';

/** The refusal of whoever may not move missions of this rank; undefined for all others. */
export const overCeiling = ({ rank_ceiling }: Asked, effective_rank: Rank): Reply<never> | undefined => {
  if (rank_ceiling === undefined || !isBelow(rank_ceiling, effective_rank)) return undefined;
  const detail = `the mission is of rank ${effective_rank}, and the ceiling of the API token is ${rank_ceiling}`;
  return { kind: 'refused', refusal: { code: 'rank-above-ceiling', detail, facts: { effective_rank, rank_ceiling } } };
};
