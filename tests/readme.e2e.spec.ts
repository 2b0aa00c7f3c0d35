// What README.md and docs/operations.md tell a reader to type is typed here, and answers as they say: an `sh` block is
// run, the `text` block after it is what it must print. `sh stopped` is run when the product is not.
//
//   R1. Only the address and the data folder are changed in a command.
//   R2. Answers agree line by line, but for ids, digests, times and figures.

import { execFile, spawn } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import canonicalize from 'canonicalize';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { EventSource } from './support/event-source.js';
import { Client, Product } from './support/product.js';

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
    this.child = spawn('bash', [], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
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

const START_MS_MAX = 300_000;
const STOP_MS_MAX = 60_000;
/** What must be there again after a restore. */
const LISTS = ['/v1/engine/missions', '/v1/approvals', '/v1/vault/artifacts', '/v1/auth/sessions'];

describe('a reader', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nexusmon-readme-'));
  // As root, PostgreSQL's user must be able to come to its cluster: else it lies elsewhere, and no copy has it.
  chmodSync(folder, 0o755);
  const data_dir = join(folder, '.nexusmon');
  let product: Product;
  let shell: Shell | undefined;
  let changed: (script: string) => string;

  beforeAll(async () => {
    product = await Product.start({ data_dir });
    const { gateway_url } = await product.run();
    changed = (script) =>
      script.replaceAll('http://127.0.0.1:8000', gateway_url).replaceAll('.nexusmon/', `${data_dir}/`);
  }, START_MS_MAX);
  afterEach(() => shell?.end());
  afterAll(async () => {
    await product.stop();
    rmSync(folder, { recursive: true, force: true });
  }, STOP_MS_MAX);

  it.each(['README.md', 'docs/operations.md'])('finds that the commands of %s do what it says', async (page) => {
    const blocks = blocksOf(page).filter(({ stopped }) => !stopped);
    expect(blocks.filter(({ answer }) => answer !== undefined).length).toBeGreaterThan(2);
    shell = new Shell(ROOT);
    await expectAnswers(shell, blocks, changed);
  });

  const everything = async (client: Client) => {
    const { body: organism } = await client.get<Record<string, unknown>>('/v1/nexusmon/organism/status');
    const { stage, count, xp, missions } = organism;
    const lists = LISTS.map(async (path) => (await client.get<unknown>(`${path}?limit=200`)).body);
    const { body: artifacts } = await client.get<{ data: { artifact_id: string }[] }>('/v1/vault/artifacts');
    const content = `/v1/vault/artifacts/${artifacts.data[0]?.artifact_id}/content`;
    return [stage, count, xp, missions, await Promise.all(lists), (await client.get<string>(content)).body];
  };
  const goOn = (client: Client) =>
    client.post<MissionDocument>(
      '/v1/engine/missions',
      { goal: 'Go on', plan: { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] } },
      { prefer: 'wait=60' },
    );

  it('finds everything again in the copy that docs/operations.md describes', async () => {
    const operator = await product.operator();
    const before = await everything(operator);
    await product.stop();

    shell = new Shell(folder);
    const blocks = blocksOf('docs/operations.md').filter(({ stopped }) => stopped);
    expect(blocks.length).toBeGreaterThan(1);
    await expectAnswers(shell, blocks, (script) => script);
    rmSync(data_dir, { recursive: true });

    product = await Product.start({ data_dir: join(folder, 'restored', '.nexusmon') });
    const { gateway_url } = await product.run();
    const again = new Client(gateway_url, operator.token, operator.operator_key);
    expect(await everything(again)).toEqual(before);
    expect((await goOn(again)).body.status).toBe('completed');
  });

  it('finds everything again in a backup that was taken while it ran, and what came after it named as lost', async () => {
    const operator = await product.operator();
    const { data_dir: old } = product;
    const [kept, fresh] = [join(folder, 'kept'), join(folder, 'fresh')];
    const cli = (...args: string[]) =>
      promisify(execFile)(process.execPath, [join(ROOT, 'apps/cli/nexusmon.mjs'), '--json', ...args]).then(
        ({ stdout }) => JSON.parse(stdout) as Record<string, unknown>,
        (error: unknown) => JSON.parse((error as { stdout: string }).stdout) as Record<string, unknown>,
      );
    const before = await everything(operator);
    const { backup_id, streams } = await cli('--data-dir', old, 'backup', kept);
    const [{ sequence: kept_to }] = streams as [{ sequence: number }];
    expect(await cli('--data-dir', old, 'backup', kept)).toMatchObject({ title: /is there already/ });
    const lost = await goOn(operator);
    const position = lost.headers.get('nexusmon-position') ?? '';
    const of_views = `/v1/engine/missions?min_position=${position}`;
    expect((await operator.get(of_views)).status).toBe(200);
    await product.stop();
    const reached = Number(position.split('.')[2]);
    const of_stopped = await cli('--data-dir', old, 'backup', join(folder, 'kept-of-stopped'));
    expect(of_stopped).toMatchObject({ streams: [{ sequence: reached }] });

    mkdirSync(fresh);
    const restore = () =>
      cli('--data-dir', fresh, 'restore', kept, '--reason', 'The disk was lost', '--instead-of', old);
    for (const [file, wanted] of [
      ['master.secret', /master secret is not in a backup/],
      ['operator.key', /operator's/],
    ] as const) {
      expect((await restore())['title']).toMatch(wanted);
      copyFileSync(join(old, file), join(fresh, file));
    }
    const restored = await restore();
    expect(restored).toMatchObject({ backup_id, streams: [{ sequence: kept_to }] });
    const [{ lost_to }] = restored['streams'] as [{ lost_to: number }];
    expect(lost_to).toBe(reached);

    product = await Product.start({ data_dir: fresh });
    const again = new Client((await product.run()).gateway_url, operator.token, operator.operator_key);
    expect(await everything(again)).toEqual(before);
    // What was said of the old log is not taken for a place in this one.
    expect(await again.get(of_views)).toMatchObject({ status: 422, body: { code: 'malformed-position' } });
    const headers = { authorization: `Bearer ${operator.token}` };
    const url = `${again.url}/v1/events`;
    const old_place = await EventSource.open(url, { ...headers, 'last-event-id': position });
    await old_place.until((events) => events.some(({ event }) => event === 'reset'));
    const records = await EventSource.open(`${url}?type=LogRestored&from=start`, headers);
    const [record] = await records.until((events) => events.length > 0);
    for (const source of [old_place, records]) source.close();
    // Its first new commit, and signed by the operator whom the backup knows.
    expect(record?.id.split('.')[2]).toBe(String(kept_to + 1));
    const { restored_by, public_key, signature, ...decided } = record?.data['data'] as Record<string, string>;
    expect([restored_by, decided['reason'], decided['streams']]).toEqual([
      ...['operator:owner', 'The disk was lost'],
      restored['streams'],
    ]);
    const manifest = JSON.parse(readFileSync(join(kept, 'manifest.json'), 'utf8')) as { operator_public_key: string };
    expect(public_key).toBe(manifest.operator_public_key);
    const key = createPublicKey({ key: Buffer.from(public_key ?? '', 'base64url'), format: 'der', type: 'spki' });
    const said = Buffer.from(canonicalize(decided) ?? '');
    expect(verify(null, said, key, Buffer.from(signature ?? '', 'base64url'))).toBe(true);
    expect((await goOn(again)).body.status).toBe('completed');
  });
});
