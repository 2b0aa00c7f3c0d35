// Growth: what a mission takes, one at a time, with little in the log and with a hundred times as much.

import { mission, plan, quantile } from './measure.mjs';
import { settledLists } from './lists.mjs';
import { seedMissions } from './volume.mjs';

/** Of some twelve events each: 10⁴ events, with which the process is warm too, and 10⁶. */
const FEW = 850;
const MANY = 85_000;
const EACH = 400;

/** Held, so that nothing runs beside the next one. */
const create = async (product, index) => {
  const { status, body } = await product.call('POST', '/v1/engine/missions', {
    goal: `Grown ${index}`,
    plan,
    hold: true,
  });
  if (status !== 201 && status !== 202) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
};

const KINDS = { 'create, held': create, 'a whole mission, waited for': mission };

const took = async (product, inFlight) => {
  const found = {};
  for (const [name, work] of Object.entries(KINDS))
    found[name] = await inFlight(EACH, 1, (index) => work(product, index));
  return found;
};

export const growth = async (product, row, inFlight) => {
  await inFlight(FEW, 8, (index) => mission(product, index));
  await settledLists(product);
  const few = await took(product, inFlight);
  await seedMissions(product, { ids: [], made: 0, volume: MANY }, row, inFlight);
  await settledLists(product);
  const many = await took(product, inFlight);
  for (const name of Object.keys(KINDS))
    for (const [word, share] of [
      ['p50', 0.5],
      ['p99', 0.99],
    ]) {
      const [before, after] = [few, many].map((each) => quantile(each[name], share));
      row(`${name}: ${word} at 10⁴ events`, before, 'ms');
      row(`  at 10⁶`, after, 'ms');
      row(`  how much longer`, after / before, '≤ 1.3 ×');
    }
};
