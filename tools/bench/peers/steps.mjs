// The work of a mission of the bench, as the peers do it: three steps that do nothing, one after the other, each
// recorded before the next begins.

import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { pathToFileURL } from 'node:url';

const STEPS = ['one', 'two', 'three'];

/** `step(name, work)` records what `work` returns. */
export const runSteps = async (step) => {
  let done = 0;
  for (const name of STEPS) done = await step(name, async () => done + 1);
  return { done };
};

/** What was installed, by its name: these packages are not the project's own. */
export const importFrom = (folder, name) =>
  import(pathToFileURL(createRequire(`${folder}/package.json`).resolve(name)).href);

export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Tells the bench where the peer is and which processes are its own, and ends when the bench does. */
export const ready = (facts, stop) => {
  console.log(JSON.stringify(facts));
  process.stdin.on('end', async () => {
    await stop();
    process.exit(0);
  });
  process.stdin.resume();
};
