// Reads and rebuilds at volume: missions that have had their day are appended through the log's own library, and reach
// the views through the projections of the running product.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EACH, kindRow, readLists, seedLists, settledLists, total } from './lists.mjs';
import { from, openLog } from './open-log.mjs';

const SEED_IN_FLIGHT = 64;
/** One mission of so many has a commit for each step; the others have one in all, to have volume sooner. */
const APART = 5;
/** For so many missions there is an approval and an artifact. */
const OTHERS = 10;
const MIXED_IN_FLIGHT = 8;

export const seed = async (product, volume, row, inFlight) => {
  const file = join(product.data_dir, 'bench.json');
  const { ids, made, listed } = existsSync(file)
    ? { listed: 0, ...JSON.parse(readFileSync(file, 'utf8')) }
    : { ids: [], made: 0, listed: 0 };
  if (made < volume) await seedMissions(product, { ids, made, volume }, row, inFlight);
  const others = Math.ceil(volume / OTHERS);
  if (listed < others) await seedLists(product, ids, others - listed, row, inFlight);
  await settledLists(product);
  writeFileSync(file, JSON.stringify({ ids, made: Math.max(made, volume), listed: Math.max(listed, others) }));
  return ids;
};

export const seedMissions = async (product, { ids, made, volume }, row, inFlight) => {
  const { appendPastMission } = await from('mission/service/dist/mission/past-missions.fixture');
  const { log, keyring, close } = await openLog(product);
  const began = performance.now();
  let position = '';
  await inFlight(volume - made, SEED_IN_FLIGHT, async (more) => {
    const index = made + more;
    const past = await appendPastMission(log, keyring, index, { together: index % APART !== 0 });
    if (index % 100 === 99) ids.push(past.mission_id);
    position = past.position;
  });
  await close();
  const seconds = (performance.now() - began) / 1_000;
  for (;;) {
    const list = await product.call('GET', `/v1/engine/missions?limit=1&min_position=${encodeURIComponent(position)}`);
    if (list.status === 200) break;
    if (list.status !== 504) throw new Error(`the list: ${list.status} ${JSON.stringify(list.body)}`);
  }
  row(`${volume - made} missions appended, per second`, (volume - made) / seconds, '/s');
  row('  the views had them after', (performance.now() - began) / 1_000 - seconds, 's more');
};

/** `place` is drawn anew for each request. */
const queries = (times) => {
  const at = (share) => times[Math.floor(share * (times.length - 1))];
  return {
    'newest first': () => 'limit=50',
    'limit=200': () => 'limit=200',
    'status=failed': () => 'status=failed',
    'rank=B': () => 'rank=B',
    'template (none)': () => 'template=repository-report',
    'category and rank': () => 'category=coin&rank=B',
    'rank and effective_rank (none)': () => 'rank=B&effective_rank=C',
    'rank and needs (none)': () => 'rank=E&needs=review',
    'requested_by and status': () => 'requested_by=operator:lin&status=cancelled',
    tag: (place) => `tag=batch-${place % 500}`,
    'tag and status': () => 'tag=lisbon&status=failed',
    'needs=review': () => 'needs=review',
    'needs=approval (none)': () => 'needs=approval',
    'created range': (place) =>
      `created_from=${at((place % 90) / 100)}&created_before=${at((place % 90) / 100 + 0.05)}`,
    'created range and status': (place) => `created_before=${at((place % 90) / 100 + 0.05)}&status=cancelled`,
    'search, one word that all have': () => 'search=round',
    'search, frequent words': () => 'search=survey licences',
    'search, words never together': () => 'search=osaka halifax',
    'search, rare word': (place) => `search=${encodeURIComponent(`round ${place * 37}`)}`,
    'search, nothing': () => 'search=unfindable',
    'search and filters': () => 'search=invoices&status=completed&category=forge&rank=E&needs=review',
    'search, filters and range': (place) =>
      `search=tokyo%20backups&status=failed&created_from=${at((place % 50) / 100)}&created_before=${at(0.9)}`,
  };
};

/** When missions of all the volume were made, the oldest first. */
const timesOf = async (product, ids) => {
  const missions = await Promise.all(ids.map((id) => product.call('GET', `/v1/engine/missions/${id}`)));
  return missions.map(({ body }) => body.created_at).toSorted();
};

export const reads = async (product, ids, row, inFlight, quantile) => {
  const list = async (query) => {
    const { status, body } = await product.call('GET', `/v1/engine/missions?${query}`);
    if (status !== 200) throw new Error(`${query}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const kinds = queries(await timesOf(product, ids));
  for (const [name, queryOf] of Object.entries(kinds))
    await kindRow(product, name, (place) => list(queryOf(place)), row, inFlight, quantile);
  await readLists(product, ids, row, inFlight, quantile);
  const all = Object.values(kinds);
  const before = total(product.cpu());
  const mixed = await inFlight(EACH * all.length, MIXED_IN_FLIGHT, (place) => list(all[place % all.length](place)));
  row(`lists, filters and searches mixed, ${MIXED_IN_FLIGHT} in flight, p95`, quantile(mixed, 0.95), 'ms');
  row('  CPU per request, everything', ((total(product.cpu()) - before) * 1_000) / (EACH * all.length), 'ms');
  for (const query of ['limit=50', 'limit=50&search=round', `limit=50&created_before=2099-01-01T00:00:00.000Z`]) {
    let cursor = '';
    const paged = await inFlight(200, 1, async () => {
      const { next_cursor } = await list(`${query}${cursor}`);
      cursor = next_cursor === null ? '' : `&cursor=${next_cursor}`;
    });
    row(`paging on, 200 pages of ${query.slice(0, 22)}, p95`, quantile(paged, 0.95), '≤ 50 ms');
  }
};

/** One mission over and over by many, and many missions in turn. */
export const gets = async (product, ids, row, inFlight, quantile) => {
  const get = async (index) => {
    const { status } = await product.call('GET', `/v1/engine/missions/${ids[index % ids.length]}`);
    if (status !== 200) throw new Error(`GET answered ${status}`);
  };
  const COUNT = 20_000;
  await inFlight(4_000, 64, get);
  const before = product.cpu();
  const began = performance.now();
  const took = await inFlight(COUNT, 64, get);
  const seconds = (performance.now() - began) / 1_000;
  const used = Object.entries(product.cpu()).map(([name, cpu]) => [name, ((cpu - before[name]) * 1_000) / COUNT]);
  row('GET one mission, 64 connections', COUNT / seconds, '≥ 3,000 /s');
  row('  p99', quantile(took, 0.99), 'ms');
  for (const [name, ms] of used) row(`  CPU per request, ${name}`, ms, 'ms');
};

/** Of commits as the product writes them. */
export const rebuild = async (product, row, quantile) => {
  const { body: projections } = await product.call('GET', '/v1/system/projections');
  for (const { name } of projections.data) {
    const path = `/v1/system/projections/${name}`;
    const before = total(product.cpu());
    const began = performance.now();
    const begun = await product.call('POST', `${path}/rebuild`, {});
    if (begun.status !== 202) throw new Error(`${name}: ${begun.status} ${JSON.stringify(begun.body)}`);
    const read = [];
    let document = begun.body.rebuild;
    while (document.status === 'running') {
      const asked = performance.now();
      await product.call('GET', '/v1/engine/missions?limit=1');
      read.push(performance.now() - asked);
      document = (await product.call('GET', path)).body.rebuild;
      await new Promise((wake) => setTimeout(wake, 50));
    }
    if (document.status !== 'equal') throw new Error(`${name}: ${JSON.stringify(document)}`);
    if (document.events < 10_000) continue;
    const seconds = (performance.now() - began) / 1_000;
    row(`rebuild of ${name}: events/s, to the swap`, document.events_per_second, '≥ 60,000 /s');
    row('  events', document.events, '');
    row('  commits of the log read, per second', commitsOf(document) / seconds, '/s');
    row('  CPU per 1,000 events, everything', ((total(product.cpu()) - before) * 1e6) / document.events, 'ms');
    row('  until it was swapped', seconds, 's');
    row('  list meanwhile, p50', quantile(read, 0.5), 'ms');
    row('  slowest list meanwhile', quantile(read, 1), 'ms');
  }
};

/** A position names the sequence that each stream was read to. */
const commitsOf = ({ position }) => position.split('~').reduce((sum, place) => sum + Number(place.split('.')[2]), 0);
