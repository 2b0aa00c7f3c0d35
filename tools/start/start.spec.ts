import { afterAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

type Environment = Record<string, string>;
type Arguments = Record<string, unknown>;
type Folders = { typed: string; working: string };
const load = async <Module>(name: string) =>
  (await import(pathToFileURL(join(import.meta.dirname, name)).href)) as Module;
const { parseArguments, parseEnvironmentFile } = await load<{
  parseArguments: (argv: string[], environment: Environment, folders: Folders) => Arguments;
  parseEnvironmentFile: (text: string) => Environment;
}>('arguments.mjs');
const { ensureProgram, PROGRAMS } = await load<{
  ensureProgram: (name: string, environment: Environment) => Promise<string>;
  PROGRAMS: Record<'nats_server' | 'minio', { isUsable: (text: string) => boolean; cached: string }>;
}>('programs.mjs');

const folder = mkdtempSync(join(tmpdir(), 'nexusmon-start-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const folders = { typed: '/typed', working: '/clone' };
const parse = (argv: string[], environment: Environment = {}) => parseArguments(argv, environment, folders);

describe('the options of a start', () => {
  it('have defaults', () => {
    expect(parse([])).toEqual({
      help: false,
      port: 8000,
      host: '127.0.0.1',
      data_dir: '/clone/.nexusmon',
      separate: false,
      json: false,
    });
  });

  it('win over the environment', () => {
    const environment = { PORT: '9000', HOST: '0.0.0.0', NEXUSMON_DATA: '/data' };
    expect(parse([], environment)).toMatchObject({ port: 9000, host: '0.0.0.0', data_dir: '/data' });
    const argv = ['--port', '0', '--host=::1', '--data-dir', 'mine', '--separate', '--json'];
    expect(parse(argv, environment)).toMatchObject({
      port: 0,
      host: '::1',
      data_dir: '/typed/mine',
      separate: true,
      json: true,
    });
  });

  it.each([
    { argv: ['--prot', '1'], says: 'unknown option --prot' },
    { argv: ['8000'], says: 'unknown option 8000' },
    { argv: ['--json=yes'], says: 'unknown option --json=yes' },
    { argv: ['--port'], says: '--port needs a value' },
    { argv: ['--port', '--json'], says: '--port needs a value' },
    { argv: ['--port', '65536'], says: '--port must be a number from 0 to 65535' },
    { argv: ['--port', '-1'], says: '--port must be a number from 0 to 65535' },
  ])('are refused in one message: $argv', ({ argv, says }) => {
    expect(() => parse(argv)).toThrow(says);
  });

  it('that are refused end the start with code 2 and without a stack', () => {
    const start = join(import.meta.dirname, '..', 'start.mjs');
    const { status, stderr } = spawnSync(process.execPath, [start, '--prot'], { encoding: 'utf8', cwd: folder });
    expect([status, stderr.split('\n')[0]]).toEqual([2, 'nexusmon: unknown option --prot']);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('the environment file', () => {
  it('is read as people write it', () => {
    const text = [
      '# a comment',
      'A=1',
      'export B = two words # and a comment',
      `C="with # inside" # outside`,
      `D='single'`,
      'E=',
      'F=a#b',
      'not a line',
      '  # G=1',
    ].join('\r\n');
    expect(parseEnvironmentFile(text)).toEqual({
      A: '1',
      B: 'two words',
      C: 'with # inside',
      D: 'single',
      E: '',
      F: 'a#b',
    });
  });
});

describe('a program', () => {
  const place = (path: string, says: string) => {
    const file = join(folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const shell = '/usr/bin:/bin';

  it.each([
    ['nats-server: v2.15.2', true],
    ['nats-server: v2.16.0-RC.1', true],
    ['nats-server: v3.0.0', true],
    ['nats-server: v2.14.9', false],
    ['', false],
  ])('that says %j is used: %j', (says, used) => {
    expect(PROGRAMS.nats_server.isUsable(says)).toBe(used);
  });

  it('on PATH is used, unless it is too old', async () => {
    place('old/nats-server', 'nats-server: v2.10.1');
    const recent = place('recent/nats-server', 'nats-server: v2.15.3');
    const PATH = [join(folder, 'old'), join(folder, 'recent'), shell].join(':');
    expect(await ensureProgram('nats_server', { PATH, NEXUSMON_CACHE: join(folder, 'none') })).toBe(recent);
  });

  it('in the cache is used where none on PATH is', async () => {
    const cached = place(`cache/${PROGRAMS.nats_server.cached}/nats-server`, '');
    const environment = { PATH: join(folder, 'old'), NEXUSMON_CACHE: join(folder, 'cache') };
    expect(await ensureProgram('nats_server', environment)).toBe(cached);
  });

  it('that is nowhere, without Go, is asked for in one message', async () => {
    const environment = { PATH: join(folder, 'old'), NEXUSMON_CACHE: join(folder, 'none') };
    await expect(ensureProgram('nats_server', environment)).rejects.toThrow(/install Go .* or nats-server 2\.15/);
  });
});
