// Counted: a projection that also tells of every event it folds, for figures that are kept in memory.
//
//   C1. Each commit is told of once per process, however often its batch is tried, and after its rows are in the store.
//   C2. A rebuild folds the plain projection: what happened long ago does not happen again.

import type { OpenCommit, Projection } from './projection.js';
import type { Store } from './store.js';

/** Rows can be read from the store as the batch leaves them. */
export type Count = (commits: readonly OpenCommit[], store: Store) => Promise<void> | void;

export const counted = (projection: Projection, count: Count): Projection => {
  const told = new Map<number, number>();
  return {
    ...projection,
    plain: projection,
    on: async (commits, store) => {
      await projection.on(commits, store);
      const fresh = commits.filter(({ commit }) => commit.sequence > (told.get(commit.stream.number) ?? 0));
      if (fresh.length === 0) return;
      await count(fresh, store);
      for (const { commit } of fresh) told.set(commit.stream.number, commit.sequence);
    },
  };
};
