import { RANKS, type Rank } from '@nexusmon/shared-contract';

export const highestRank = (ranks: readonly Rank[]): Rank =>
  ranks.reduce((highest, rank) => (RANKS.indexOf(rank) > RANKS.indexOf(highest) ? rank : highest), 'E');

export const isBelow = (rank: Rank, other: Rank): boolean => RANKS.indexOf(rank) < RANKS.indexOf(other);

/** At A and S nothing runs until a person has agreed to it. */
export const needsGrant = (rank: Rank): boolean => rank === 'A' || rank === 'S';
