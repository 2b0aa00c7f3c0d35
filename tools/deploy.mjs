// The two steps of a deployment that come before its services: `secrets <nats.conf>` and `provision`. See
// docs/operations.md.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { provisionDeployment, StartFault, writeDeploymentSecrets } from '../libs/platform/stack/dist/index.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const [step, nats_config] = process.argv.slice(2);

try {
  if (step === 'secrets' && nats_config) writeDeploymentSecrets(process.env, nats_config);
  else if (step === 'provision') await provisionDeployment(process.env, ROOT, process.execPath);
  else throw new StartFault('usage: node tools/deploy.mjs secrets <nats.conf> | provision');
} catch (error) {
  if (!(error instanceof StartFault)) throw error;
  console.error(`nexusmon: ${error.message}`);
  process.exitCode = 1;
}
