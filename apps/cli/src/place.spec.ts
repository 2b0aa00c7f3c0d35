import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import { findPlace } from './place.js';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'nexusmon-place-')));
});
afterEach(() => rmSync(folder, { recursive: true }));

const running = (path: string, port: number) => {
  const data_dir = join(folder, path);
  mkdirSync(data_dir, { recursive: true });
  const run = { gateway_url: `http://127.0.0.1:${port}`, operator_key_file: join(data_dir, 'operator.key') };
  writeFileSync(join(data_dir, 'run.json'), JSON.stringify(run));
  return data_dir;
};

const exitOf = (find: () => unknown) => {
  try {
    find();
  } catch (error) {
    if (error instanceof CliFault) return error.parts.exit;
    throw error;
  }
  throw new Error('it was found');
};

describe('the stack that is asked', () => {
  it('is the nearest upwards from where one stands', () => {
    running('.nexusmon', 1);
    const inner = running('a/b/.nexusmon', 2);
    mkdirSync(join(folder, 'a/b/c/d'), { recursive: true });
    expect(findPlace({}, {}, join(folder, 'a/b/c/d'))).toEqual({
      url: 'http://127.0.0.1:2',
      data_dir: inner,
      operator_key_file: join(inner, 'operator.key'),
    });
    expect(findPlace({}, {}, join(folder, 'a')).url).toBe('http://127.0.0.1:1');
  });

  it('is the named one before the one that is found', () => {
    running('.nexusmon', 1);
    const other = running('other', 2);
    const named = running('named', 3);
    expect(findPlace({}, { data_dir: other }, folder).url).toBe('http://127.0.0.1:2');
    expect(findPlace({ data_dir: 'named' }, { data_dir: other }, folder)).toMatchObject({ data_dir: named });
    expect(findPlace({ url: 'http://127.0.0.1:9/ignored' }, { data_dir: other }, folder)).toEqual({
      url: 'http://127.0.0.1:9',
    });
  });

  it.each([
    ['nothing is named or found', {}, EXIT.usage],
    ['two are named', { url: 'http://127.0.0.1:1', data_dir: 'x' }, EXIT.usage],
    ['the URL is none', { url: 'localhost:8000' }, EXIT.usage],
    ['the folder is not there', { data_dir: 'nowhere' }, EXIT.unavailable],
  ])('is refused when %s', (_, wanted, exit) => expect(exitOf(() => findPlace(wanted, {}, folder))).toBe(exit));

  it.each(['{', '[]', '{"gateway_url":1}'])('is not there with %s as its note', (text) => {
    writeFileSync(join(running('d', 1), 'run.json'), text);
    expect(exitOf(() => findPlace({ data_dir: 'd' }, {}, folder))).toBe(EXIT.unavailable);
  });
});
