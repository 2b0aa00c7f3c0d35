#!/usr/bin/env node
// `nexusmon`. Read by whatever Node the machine has, 20 or newer: with an older one than the command line is built for
// it runs the one that the lockfile brings, as the start does.

import { spawn } from 'node:child_process';
import module from 'node:module';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_WANTED = 24;
const EXIT_FAILURE = 1;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const HERE = dirname(realpathSync(fileURLToPath(import.meta.url)));
const ROOT = join(HERE, '..', '..');
const MAIN = join(HERE, 'dist', 'main.js');

const refuse = (message) => {
  console.error(`nexusmon: ${message}`);
  process.exitCode = EXIT_FAILURE;
};

const runUnder = (node) => {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => refuse(`${node} cannot be run: ${error.message}`));
  child.once('exit', (code, signal) => (process.exitCode = signal === null ? code : 128 + constants.signals[signal]));
};

const pinnedNode = () => {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  return join(ROOT, 'node_modules', `node-${platform}-${process.arch}`, 'bin', 'node');
};

module.enableCompileCache?.(join(ROOT, 'node_modules', '.cache', 'nexusmon', 'cli'));

if (!existsSync(MAIN))
  refuse(`it is not built yet; npm start builds it, and so does: node ${join(ROOT, 'tools/build.mjs')}`);
else if (Number(process.versions.node.split('.')[0]) >= NODE_WANTED) await import('./dist/main.js');
else if (existsSync(pinnedNode())) runUnder(pinnedNode());
else refuse(`Node ${NODE_WANTED} is needed, and npm has none for this machine; this is ${process.versions.node}`);
