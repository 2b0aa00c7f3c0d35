// Loaded into the processes of a product (`--import`). While the file that NEXUSMON_TEST_BUSY names is there, the event
// loop of the process that the file names has never a moment for anything but a little work of its own.

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const CONTROL = process.env.NEXUSMON_TEST_BUSY;
const LOOK_EVERY_MS = 200;
const TURN_MS = 20;

const own_name = basename(join(dirname(process.argv[1] ?? ''), '..'));
const isMeant = () => existsSync(CONTROL) && readFileSync(CONTROL, 'utf8') === own_name;

const spin = () => {
  if (!isMeant()) return wait();
  const end = performance.now() + TURN_MS;
  while (performance.now() < end);
  setImmediate(spin);
};
const wait = () => setTimeout(spin, LOOK_EVERY_MS).unref();

if (CONTROL !== undefined) wait();
