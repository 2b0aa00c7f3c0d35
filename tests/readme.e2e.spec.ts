// What README.md and docs/operations.md tell a reader to type is typed here, and answers as they say: an `sh` block is
// run, the `text` block after it is what it must print. `sh stopped` is run when the product is not.
//
//   R1. Only the address and the data folder are changed in a command.
//   R2. Answers agree line by line, but for ids, digests, times and figures.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Product } from './support/product.js';

const ROOT = resolve(import.meta.dirname, '..');
const BLOCK_SECONDS_MAX = 120;

type Block = Readonly<{ script: string; answer: string | undefined; stopped: boolean }>;

const blocksOf = (path: string): Block[] => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const fences = /^```sh( stopped)?\n(.*?)^```\n(?:\n```text\n(.*?)^```)?/gms;
  return [...text.matchAll(fences)].map(([, stopped, script = '', answer]) => ({
    script,
    answer,
    stopped: stopped !== undefined,
  }));
};

const ID = /\b[a-z]{3}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
const POSITION = /\b\d+\.[0-9a-f]{12}\.\d+\.\d+\b/g;
const DIGEST = /\b(?=[0-9a-f]*\d)[0-9a-f]{32,64}\b/g;
const FIGURE = /\b\d+(\.\d+)?\b/g;
/** A status and a code are told apart from figures by what stands before them. */
const STATUS = /\bstatus: \d{3}\b/g;

const shapeOf = (text: string): string =>
  text
    .replaceAll(ROOT, '~/nexusmon')
    .replaceAll(`report: ${basename(ROOT)}`, 'report: nexusmon')
    .replaceAll(STATUS, (status) => status.replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? ''))
    .replaceAll(ID, 'ID')
    .replaceAll(TIME, 'TIME')
    .replaceAll(POSITION, 'POSITION')
    .replaceAll(DIGEST, 'DIGEST')
    .replaceAll(FIGURE, 'N')
    .trim();

/** One shell for many blocks, as a reader has: what one sets, the next one uses. */
class Shell {
  private readonly child;
  private said = '';
  private heard: () => void = () => undefined;

  constructor(cwd: string) {
    const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter);
    const env = { ...process.env, PATH, NODE_OPTIONS: '', NO_COLOR: '1', FORCE_COLOR: undefined };
    this.child = spawn('bash', ['-u'], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on('data', (bytes: Buffer) => {
        this.said += bytes.toString();
        this.heard();
      });
    this.child.once('exit', () => this.heard());
  }

  async run(script: string): Promise<string> {
    const mark = `end-of-block-${Math.random()}`;
    this.said = '';
    this.child.stdin.write(`${script}\necho ${mark}\n`);
    const deadline = Date.now() + BLOCK_SECONDS_MAX * 1_000;
    while (!this.said.includes(mark)) {
      if (this.child.exitCode !== null || Date.now() > deadline) throw new Error(`${script}\nsaid:\n${this.said}`);
      await new Promise<void>((wake) => {
        this.heard = wake;
        setTimeout(wake, 1_000).unref();
      });
    }
    return this.said.slice(0, this.said.indexOf(mark));
  }

  end(): void {
    this.child.kill();
  }
}

const expectAnswers = async (shell: Shell, blocks: readonly Block[], change: (script: string) => string) => {
  for (const { script, answer } of blocks) {
    const said = await shell.run(change(script));
    if (answer === undefined) expect(said.trim()).toBe('');
    else expect(shapeOf(said)).toBe(shapeOf(answer));
  }
};

describe('a reader', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nexusmon-readme-'));
  let product: Product;
  let running: (script: string) => string;

  beforeAll(async () => {
    product = await Product.start();
    const { gateway_url } = await product.run();
    running = (script) =>
      script.replaceAll('http://127.0.0.1:8000', gateway_url).replaceAll('.nexusmon/', `${product.data_dir}/`);
  }, 300_000);
  afterAll(async () => {
    await product.remove();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it.each(['README.md', 'docs/operations.md'])('finds the commands of %s to do what it says', async (page) => {
    const shell = new Shell(ROOT);
    const blocks = blocksOf(page).filter(({ stopped }) => !stopped);
    expect(blocks.length).toBeGreaterThan(2);
    await expectAnswers(shell, blocks, running);
    shell.end();
  });

  it('finds everything again in a backup that was made as docs/operations.md says', async () => {
    const operator = await product.operator();
    const lists = ['/v1/engine/missions?limit=200', '/v1/vault/artifacts?limit=200', '/v1/nexusmon/organism/status'];
    const read = async (client: typeof operator) =>
      Promise.all(lists.map(async (path) => (await client.get<object>(path)).body));
    const before = await read(operator);
    await product.stop();

    cpSync(product.data_dir, join(folder, '.nexusmon'), { recursive: true });
    await rm(product.data_dir);
    const shell = new Shell(folder);
    await expectAnswers(
      shell,
      blocksOf('docs/operations.md').filter(({ stopped }) => stopped),
      (script) => script,
    );
    shell.end();
  });
});
