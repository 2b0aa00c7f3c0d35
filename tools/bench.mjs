// `npm run bench`: the promised figures, measured on this machine beside their targets. Runs on the product as it is
// built, with every write synced. Options: `--missions N` (default 3000), `--volume N` missions to read among (default
// 100000), `--only NAMES` (log, missions, reads, memory, starts, get, rebuild, growth, upload), `--data-dir FOLDER`
// that is kept afterwards: what it has of the volume is not made again. `--profile` says where the time of missions
// goes. `--peers` runs Restate and DBOS on the same work instead, in `--rounds N` (default 3) that alternate between
// them and the product.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NODE = 24;
const own = fileURLToPath(
  new URL(`../node_modules/node-${process.platform}-${process.arch}/bin/node`, import.meta.url),
);

if (Number(process.versions.node.split('.')[0]) < NODE) {
  if (!existsSync(own)) {
    console.error(`nexusmon: the bench needs Node ${NODE}, and npm ci has put none into node_modules`);
    process.exit(1);
  }
  const { status } = spawnSync(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exit(status ?? 1);
}

const { runBench } = await import('./bench/bench.mjs');
await runBench(process.argv.slice(2));
