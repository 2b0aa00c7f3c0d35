import { describe, expect, it } from '@jest/globals';
import { counted } from './counted.js';
import type { OpenCommit, Projection } from './projection.js';
import { Store } from './store.js';

const store = new Store(new Map(), { query: () => Promise.reject(new Error('nothing is read here')) });
/** As much of a commit as is looked at. */
const commit = (sequence: number, number = 0) =>
  ({ commit: { sequence, stream: { number } }, events: [] }) as unknown as OpenCommit;

const scene = () => {
  const told: string[] = [];
  const folded: number[] = [];
  let fails = false;
  const plain: Projection = {
    name: 'test.plain',
    context: 'test',
    reads: [],
    tables: [],
    on: (commits) => {
      if (fails) throw new Error('the fold broke');
      folded.push(commits.length);
    },
  };
  const projection = counted(plain, (commits) => {
    told.push(...commits.map(({ commit: { stream, sequence } }) => `${stream.number}/${sequence}`));
  });
  return { told, folded, projection, break: (now: boolean) => void (fails = now) };
};

describe('a counted projection', () => {
  it('tells of each commit once, however often its batch is tried (C1)', async () => {
    const { projection, told, folded } = scene();
    await projection.on([commit(1), commit(2)], store);
    await projection.on([commit(1), commit(2)], store);
    await projection.on([commit(2), commit(3)], store);
    expect(told).toEqual(['0/1', '0/2', '0/3']);
    expect(folded).toEqual([2, 2, 2]);
  });

  it('tells streams apart', async () => {
    const { projection, told } = scene();
    await projection.on([commit(5, 0), commit(3, 1)], store);
    await projection.on([commit(4, 1), commit(5, 0)], store);
    expect(told).toEqual(['0/5', '1/3', '1/4']);
  });

  it('tells nothing of a batch that could not be folded, until it was', async () => {
    const { projection, told, break: broken } = scene();
    broken(true);
    await expect(async () => projection.on([commit(1)], store)).rejects.toThrow('the fold broke');
    broken(false);
    await projection.on([commit(1)], store);
    expect(told).toEqual(['0/1']);
  });
});
