import { growth } from './growth.mjs';
import { benchLog } from './log.mjs';
import { inFlight, mission, plan, quantile } from './measure.mjs';
import { comparePeers } from './peers.mjs';
import { Product } from './product.mjs';
import { profile } from './profile.mjs';
import { uploads } from './upload.mjs';
import { gets, reads, rebuild, seed } from './volume.mjs';

const IN_FLIGHT = 64;
const MIB_COUNT = 10_000;
const PROFILED = 1_500;
/** Nobody has asked for anything for this long. */
const IDLE_MS = 30_000;
/** Missions that have really run: four commits and twelve events each. */
const REBUILT = 20_000;

const missions = async (product, count, row) => {
  await inFlight(Math.min(500, count), IN_FLIGHT, (index) => mission(product, index));
  const before = product.cpu();
  const began = performance.now();
  const took = await inFlight(count, IN_FLIGHT, (index) => mission(product, index));
  const seconds = (performance.now() - began) / 1_000;
  const used = Object.entries(product.cpu()).map(([name, cpu]) => [name, ((cpu - before[name]) * 1_000) / count]);
  row('3-task missions/s, 64 in flight', count / seconds, '≥ 250 /s');
  row('  p99 at 64 in flight', quantile(took, 0.99), 'ms');
  row(
    'CPU per mission, everything',
    used.reduce((total, [, ms]) => total + ms, 0),
    '≤ 3.5 ms',
  );
  for (const [name, ms] of used) row(`  of which ${name}`, ms, 'ms');

  const single = await inFlight(300, 1, (index) => mission(product, index));
  row('p50 one at a time', quantile(single, 0.5), '≤ 10 ms');
  row('p99 one at a time', quantile(single, 0.99), '≤ 30 ms');
};

/** From the answer to a create until a list that was asked for its position shows it. */
const visibility = async (product, row) => {
  const took = await inFlight(200, 1, async (index) => {
    const created = await product.call('POST', '/v1/engine/missions', { goal: `Seen ${index}`, plan, hold: true });
    const position = encodeURIComponent(created.headers['nexusmon-position']);
    const began = performance.now();
    const list = await product.call('GET', `/v1/engine/missions?limit=1&min_position=${position}`);
    if (list.body.data[0]?.mission_id !== created.body.mission_id) throw new Error('a write was not visible');
    seen.push(performance.now() - began);
  });
  row('write → visible in a read, p99', quantile(seen.splice(0), 0.99), '≤ 250 ms');
  return took;
};
const seen = [];

const total = (figures) => Object.values(figures).reduce((sum, mib) => sum + mib, 0);

/** Proportional set sizes: a page that several processes map is divided among them, so that their sum is the truth. */
const memory = async (product, done, row) => {
  const left = Math.max(0, MIB_COUNT - done);
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, total(product.memory()))), 1_000);
  await inFlight(left, IN_FLIGHT, (index) => mission(product, index));
  clearInterval(watch);
  const loaded = product.memory();
  row('memory (PSS) at 10,000 missions, highest under load', Math.max(peak, total(loaded)), '≤ 700 MiB');
  for (const [name, mib] of Object.entries(loaded)) row(`  of which ${name}, at the end`, mib, 'MiB');
  await new Promise((wake) => setTimeout(wake, IDLE_MS));
  const idle = product.memory();
  row(`memory (PSS) at 10,000 missions, idle for ${IDLE_MS / 1_000} s`, total(idle), '≤ 700 MiB');
  for (const [name, mib] of Object.entries(idle)) row(`  of which ${name}`, mib, 'MiB');
};

const option = (options, name, fallback) => {
  const at = options.indexOf(name);
  return at < 0 ? fallback : options[at + 1];
};

export const runBench = async (options) => {
  const count = Number(option(options, '--missions', 3_000));
  const volume = Number(option(options, '--volume', 100_000));
  const only = option(options, '--only', undefined);
  const row = (name, value, target) =>
    console.log(`${name.padEnd(52)} ${value.toFixed(value < 100 ? 2 : 0).padStart(9)}   ${target}`);
  const wants = (name) => only === undefined || only.split(',').includes(name);
  if (options.includes('--peers'))
    return comparePeers({ rounds: Number(option(options, '--rounds', 3)), count: Math.min(count, 2_000) });
  console.log(`${'measured here, every write synced'.padEnd(52)} ${'figure'.padStart(9)}   target or unit`);

  if (wants('log')) await benchLog(row, inFlight, quantile);
  if (wants('growth')) await withNewLog((product) => growth(product, row, inFlight));
  if (!['missions', 'starts', 'memory', 'upload', 'rebuild', ...AT_VOLUME].some(wants)) return;
  const kept = option(options, '--data-dir', undefined);
  let product = await Product.start(kept);
  try {
    if (kept === undefined) row('first start of a new data folder (installed, built)', product.start_ms / 1_000, 's');
    if (wants('missions')) await missions(product, count, row);
    if (options.includes('--profile')) await profile(product, Math.min(count, PROFILED), row);
    if (wants('upload')) await uploads(product, row);
    if (wants('reads')) await visibility(product, row);
    if (wants('memory')) await memory(product, wants('missions') ? count + 800 : 0, row);
    if (wants('starts')) {
      await product.stop();
      product = await Product.start(product.data_dir);
      row('npm start, second time', product.start_ms / 1_000, '≤ 5 s');
    }
    if (wants('rebuild')) {
      await inFlight(REBUILT, IN_FLIGHT, (index) => mission(product, index));
      await rebuild(product, row, quantile);
    }
    if (AT_VOLUME.some(wants)) await atVolume(product, volume, wants, row);
  } finally {
    await (kept === undefined ? product.remove() : product.stop());
  }
};

/** Where nothing has been written yet. */
const withNewLog = async (work) => {
  const product = await Product.start();
  try {
    await work(product);
  } finally {
    await product.remove();
  }
};

const AT_VOLUME = ['reads', 'get'];
/** Last: what it leaves in the log would weigh on the other figures. */
const atVolume = async (product, volume, wants, row) => {
  const ids = await seed(product, volume, row, inFlight);
  if (wants('reads')) await reads(product, ids, row, inFlight, quantile);
  if (wants('get')) await gets(product, ids, row, inFlight, quantile);
};
