// The product as a bench needs it: started in a folder of its own, spoken to over kept-alive connections.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { exchange } from './http.mjs';
import { cpuSeconds, pssMiB, tree } from './processes.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export class Product {
  #agent = new Agent({ keepAlive: true, maxSockets: 128 });
  #token = '';

  static async start(data_dir = mkdtempSync(join(tmpdir(), 'nexusmon-bench-')), args = [], settings = {}) {
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
        env: { ...process.env, NEXUSMON_RATE_PER_CREDENTIAL: '1000000', ...settings },
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

  get headers() {
    const authorization = this.#token ? { authorization: `Bearer ${this.#token}` } : {};
    return { 'user-agent': 'nexusmon-bench', ...authorization };
  }

  call(method, path, body, headers = {}) {
    const url = `${this.run.gateway_url}${path}`;
    return exchange(this.#agent, method, url, body, { ...this.headers, ...headers });
  }

  /** CPU seconds that every process of the product has used so far, by name; servers with their children. */
  cpu() {
    return Object.fromEntries(Object.entries(this.run.pids).map(([name, pid]) => [name, cpuSeconds(tree(pid))]));
  }

  /** Proportional set size of everything, supervisor included, in MiB by name. */
  memory() {
    const pids = { ...this.run.pids, supervisor: this.child.pid };
    const counted = new Set(Object.values(this.run.pids).flatMap(tree));
    return Object.fromEntries(
      Object.entries(pids).map(([name, pid]) => [
        name,
        pssMiB(name === 'supervisor' ? tree(pid).filter((each) => !counted.has(each)) : tree(pid)),
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
