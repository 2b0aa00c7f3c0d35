// The product as a bench needs it: started in a folder of its own, spoken to over kept-alive connections.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TICKS_PER_SECOND = 100;

export class Product {
  #agent = new Agent({ keepAlive: true, maxSockets: 128 });
  #token = '';

  static async start(data_dir = mkdtempSync(join(tmpdir(), 'nexusmon-bench-')), args = []) {
    const product = new Product();
    product.data_dir = data_dir;
    const began = performance.now();
    product.child = spawn(
      process.execPath,
      [join(ROOT, 'tools/start.mjs'), '--port', '0', '--data-dir', data_dir, ...args],
      {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'inherit'],
        // How much there is to be had, not how much one credential is given.
        env: { ...process.env, NEXUSMON_RATE_PER_CREDENTIAL: '1000000' },
      },
    );
    const lines = createInterface({ input: product.child.stdout });
    await new Promise((resolve, reject) => {
      lines.on('line', (line) => line.startsWith('ready') && resolve());
      product.child.once('exit', (code) => reject(new Error(`the product did not start: exit ${code}`)));
    });
    product.start_ms = performance.now() - began;
    product.run = JSON.parse(readFileSync(join(data_dir, 'run.json'), 'utf8'));
    const operator_key = readFileSync(product.run.operator_key_file, 'utf8').trim();
    const { body } = await product.call('POST', '/v1/auth/login', { operator_key });
    product.#token = body.token;
    return product;
  }

  call(method, path, body, headers = {}) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        `${this.run.gateway_url}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            'user-agent': 'nexusmon-bench',
            ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
            ...(text === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
            ...headers,
          },
        },
        (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('end', () => {
            const answer = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode,
              headers: response.headers,
              body: answer ? JSON.parse(answer) : undefined,
            });
          });
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }

  /** CPU seconds that every process of the product has used so far, by name; servers with their children. */
  cpu() {
    return Object.fromEntries(Object.entries(this.run.pids).map(([name, pid]) => [name, sum(tree(pid), cpuSeconds)]));
  }

  /** Proportional set size of everything, supervisor included, in MiB by name. */
  memory() {
    const pids = { ...this.run.pids, supervisor: this.child.pid };
    const counted = new Set(Object.values(this.run.pids).flatMap(tree));
    return Object.fromEntries(
      Object.entries(pids).map(([name, pid]) => [
        name,
        sum(name === 'supervisor' ? tree(pid).filter((each) => !counted.has(each)) : tree(pid), pssMiB),
      ]),
    );
  }

  async stop() {
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.#agent.destroy();
    this.child.kill('SIGINT');
    await exited;
  }

  async remove() {
    await this.stop();
    rmSync(this.data_dir, { recursive: true, force: true });
  }
}

const sum = (values, of) => values.reduce((total, value) => total + of(value), 0);

/** A process and all its descendants; those that ended meanwhile are left out. */
const tree = (root) => {
  const children = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statOf(entry)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
};

const readProc = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
};

const statOf = (pid) => {
  const text = readProc(pid, 'stat');
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // Children that have been waited for are counted too: PostgreSQL's backends come and go.
  const ticks = [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index]), 0);
  return { parent: Number(fields[1]), ticks };
};

const cpuSeconds = (pid) => (statOf(pid)?.ticks ?? 0) / TICKS_PER_SECOND;
const pssMiB = (pid) => Number(/^Pss:\s+(\d+)/m.exec(readProc(pid, 'smaps_rollup') ?? '')?.[1] ?? 0) / 1_024;
