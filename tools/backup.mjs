// What `nexusmon backup` and `nexusmon restore` start: the programs that a stack needs, and then the work as it was
// built. `node tools/backup.mjs <data folder> <task as JSON>`, with a channel to whoever asks.

import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from '../libs/platform/stack/dist/backup-main.js';
import { readEnvironment } from './start/arguments.mjs';
import { StartFault } from './start/fault.mjs';
import { ensureProgram, PROGRAMS } from './start/programs.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const [data_folder, task] = process.argv.slice(2);
const data_dir = resolve(data_folder);
const environment = readEnvironment(ROOT);
const say = (progress) => process.send?.({ progress });

const binaries = {};
try {
  for (const name of ['nats_server', 'minio'])
    if (!environment[PROGRAMS[name].outside])
      binaries[name] = await ensureProgram(name, environment, { say, started: () => undefined });
} catch (error) {
  if (!(error instanceof StartFault)) throw error;
  process.send?.({ fault: error.message });
  process.exit(1);
}
const settings = { root: ROOT, data_dir, working_dir: data_dir, host: '127.0.0.1', port: 0, separate: false };
await main({ ...settings, json: false, began_at: Date.now(), binaries, environment }, JSON.parse(task));
