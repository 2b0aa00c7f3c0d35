// `npm run bench -- --peers`: the product, with one event stream and with four, beside Restate and DBOS, the
// same work in the same minutes.
//
//   E1. Rounds alternate between all of them, and each is begun by another. What is compared are medians over the
//       rounds, and their ratios.
//   E2. The client is this process for each of them, over kept-alive HTTP; its time is not counted. A peer's worker is.
//   E3. Each keeps its own default durability: all of them sync every step to disk.

import { spawn, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cacheFolder } from '../start/programs.mjs';
import { exchange } from './http.mjs';
import { inFlight, mission, quantile } from './measure.mjs';
import { cpuSeconds, pssMiB, tree } from './processes.mjs';
import { Product } from './product.mjs';

const HERE = join(import.meta.dirname, 'peers');
const IN_FLIGHT = 64;
const ROUNDS = 3;
const SINGLE = 200;
const WARM = 300;

/** The peers' packages, outside the clone, by what is pinned. */
const installed = () => {
  const lock = readFileSync(join(HERE, 'package-lock.json'), 'utf8');
  const folder = join(cacheFolder(process.env), `peers-${hash('sha256', lock).slice(0, 12)}`);
  if (existsSync(join(folder, 'installed'))) return folder;
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(HERE, name), join(folder, name));
  console.log('installing Restate and DBOS…');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (npm.status !== 0) throw new Error(`the peers could not be installed: ${npm.stderr}`);
  mkdirSync(join(folder, 'installed'));
  return folder;
};

const startPeer = async (name, packages, run) => {
  const folder = mkdtempSync(join(tmpdir(), `nexusmon-${name}-`));
  const child = spawn(process.execPath, [join(HERE, `${name}.mjs`), packages, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const line = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve)),
    exited.then((code) => Promise.reject(new Error(`${name} did not start: exit ${code}`))),
  ]);
  const { url, pids } = JSON.parse(line);
  const agent = new Agent({ keepAlive: true, maxSockets: 2 * IN_FLIGHT });
  const call = async (method, path, body) => {
    const answer = await exchange(agent, method, `${url}${path}`, body);
    if (answer.status >= 300) throw new Error(`${name}: ${method} ${path}: ${answer.status}`);
    return answer.body;
  };
  // Restate's server is a child of the worker; PostgreSQL is one of DBOS's.
  const processes = () => [...new Set(Object.values(pids).flatMap(tree))];
  return {
    name,
    work: (id) => run(call, id),
    cpu: () => cpuSeconds(processes()),
    memory: () => pssMiB(processes()),
    stop: async () => {
      agent.destroy();
      child.stdin.end();
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const expectDone = ({ done }) => {
  if (done !== 3) throw new Error(`a peer did ${done} of 3 steps`);
};

const restate = async (call, id) => {
  await call('POST', `/Mission/${id}/run/send`);
  expectDone(await call('GET', `/restate/workflow/Mission/${id}/attach`));
};
const dbos = async (call, id) => expectDone(await call('POST', `/${id}`));

const startOurs = async (name, settings) => {
  const product = await Product.start(undefined, [], settings);
  const total = (figures) => Object.values(figures).reduce((sum, figure) => sum + figure, 0);
  return {
    name,
    work: (id) => mission(product, id),
    cpu: () => total(product.cpu()),
    memory: () => total(product.memory()),
    stop: () => product.remove(),
  };
};

const round = async (each, number, count) => {
  const id = (kind) => (index) => each.work(`${kind}-${number}-${index}`);
  await inFlight(WARM, IN_FLIGHT, id('warm'));
  const single = await inFlight(SINGLE, 1, id('single'));
  const before = each.cpu();
  const began = performance.now();
  await inFlight(count, IN_FLIGHT, id('many'));
  const seconds = (performance.now() - began) / 1_000;
  return {
    'missions/s, 64 in flight': count / seconds,
    'p50 one at a time, ms': quantile(single, 0.5),
    'p99 one at a time, ms': quantile(single, 0.99),
    'CPU per mission, ms': ((each.cpu() - before) * 1_000) / count,
    'memory (PSS), MiB': each.memory(),
  };
};

const median = (values) => quantile(values, 0.5);
const cell = (value) => value.toFixed(value < 100 ? 2 : 0).padStart(WIDTH);

/** With one event stream, and with as many as a machine of a few cores can make use of. */
const OURS = { nexusmon: {}, 'four streams': { NEXUSMON_STREAMS: '4' } };
const WIDTH = 14;

const report = (rounds) => {
  const names = Object.keys(rounds[0]);
  const columns = names.map((name) => name.padStart(WIDTH)).join('');
  console.log(`\n${'medians, and ours as a multiple of theirs'.padEnd(42)}${columns}`);
  for (const figure of Object.keys(rounds[0][names[0]])) {
    const medians = new Map(names.map((name) => [name, median(rounds.map((each) => each[name][figure]))]));
    const multiples = names
      .filter((name) => !(name in OURS))
      .map((peer) => {
        const of_each = Object.keys(OURS).map((name) => (medians.get(name) / medians.get(peer)).toFixed(2));
        return `× ${peer} ${of_each.join(' / ')}`;
      });
    console.log(`${figure.padEnd(42)}${[...medians.values()].map(cell).join('')}   ${multiples.join(' · ')}`);
  }
};

/** Prints each round as it ends, then the medians and ratios. Options: `--rounds N` (3), `--missions N` (2000). */
export const comparePeers = async ({ rounds = ROUNDS, count = 2_000 }) => {
  const packages = installed();
  const all = [];
  try {
    for (const [name, settings] of Object.entries(OURS)) all.push(await startOurs(name, settings));
    all.push(await startPeer('restate', packages, restate));
    all.push(await startPeer('dbos', packages, dbos));
    const figures = [];
    for (let number = 1; number <= rounds; number += 1) {
      const of_round = {};
      for (const each of [...all.slice(number - 1), ...all.slice(0, number - 1)]) {
        of_round[each.name] = await round(each, number, count);
        console.log(JSON.stringify({ round: number, peer: each.name, ...of_round[each.name] }));
      }
      figures.push(of_round);
    }
    report(figures);
  } finally {
    for (const each of all) await each.stop();
  }
};
