// Loaded before each process of the product: makes one rule of it wrong, in what is loaded and not on disk, for a test
// that must notice. NEXUSMON_TEST_BROKEN: {file, find, replace}; the file counts from the root, as it is built.

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { file, find, replace } = JSON.parse(process.env.NEXUSMON_TEST_BROKEN);
const path = join(resolve(import.meta.dirname, '../..'), file);
const parts = readFileSync(path, 'utf8').split(find);
// A rule that is not found would leave the product whole, and the test would say so of itself.
if (parts.length !== 2) throw new Error(`${file}: ${JSON.stringify(find)} is found ${parts.length - 1} times`);

const wrong = pathToFileURL(path).href;
registerHooks({
  load: (url, context, next) =>
    url === wrong ? { format: 'module', shortCircuit: true, source: parts.join(replace) } : next(url, context),
});
