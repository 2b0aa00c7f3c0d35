import { createHash, randomInt } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { beginBackup, BLOBS_FILE, checkParts, linesOf, PartWriter, readManifest } from './backup-folder.js';
import { FORMAT, KEYS_FILE, logFile, type Manifest } from './backup-folder.js';

const NAME = 'NEXUSMON_EVENTS_0';
const BYTES = 'what an artifact is';
const SHA256 = createHash('sha256').update(BYTES).digest('hex');
const BLOB = `blobs/${SHA256.slice(0, 2)}/${SHA256}`;

describe('the folder of a backup', () => {
  let parent: string;
  let target: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'nexusmon-backup-'));
    target = join(parent, 'kept');
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  const write = (over: Partial<Manifest> = {}) => {
    const folder = beginBackup(target);
    const log = new PartWriter(folder.path, logFile(NAME));
    for (let sequence = 1; sequence <= 40; sequence += 1) log.write({ sequence, data: 'é'.repeat(sequence) });
    const keys = new PartWriter(folder.path, KEYS_FILE);
    keys.write({ key_id: 'key_1', wrapped: null });
    const blobs = new PartWriter(folder.path, BLOBS_FILE);
    blobs.write({ key: BLOB, bytes: BYTES.length });
    mkdirSync(dirname(join(folder.path, BLOB)), { recursive: true });
    writeFileSync(join(folder.path, BLOB), BYTES);
    const created = '2026-01-01T00:00:00Z';
    const stream = { number: 0, name: NAME, incarnation: 'ab', created, last_sequence: 40, content_sha256: '' };
    const manifest: Manifest = {
      ...{ format: FORMAT, backup_id: 'bak_1', product: '0.1.0', began_at: created, taken_at: created },
      streams: [{ ...log.end(), ...stream }],
      parts: [keys.end(), blobs.end()],
      blobs: { count: 1, bytes: BYTES.length, damaged: [] },
      ...{ master_proof: 'proof', operator_public_key: 'key' },
      ...over,
    };
    return { folder, manifest };
  };
  const finished = () => {
    const { folder, manifest } = write();
    folder.finish(manifest);
    return manifest;
  };
  const check = async () => {
    const { manifest } = readManifest(target);
    await checkParts(target, manifest, () => undefined);
    return manifest;
  };
  const FILES = ['manifest.json', logFile(NAME), KEYS_FILE, BLOBS_FILE, BLOB];

  it('is read as it was written', async () => {
    const manifest = finished();
    expect(await check()).toEqual(manifest);
    const sequences: unknown[] = [];
    for await (const line of linesOf(target, logFile(NAME))) sequences.push((line as { sequence: number }).sequence);
    expect(sequences).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  });

  it('has its name only when all of it is there (K1)', () => {
    const { folder } = write();
    expect(existsSync(target)).toBe(false);
    expect(() => readManifest(folder.path)).toThrow('it has no manifest.json');
    // What another one left is not built upon.
    appendFileSync(join(folder.path, KEYS_FILE), 'left\n');
    finished();
    expect(readFileSync(join(target, KEYS_FILE), 'utf8')).not.toContain('left');
    expect(() => beginBackup(target)).toThrow('is there already');
  });

  it.each(FILES)('is not whole with one bit of %s changed (K2)', async (file) => {
    finished();
    const path = join(target, file);
    const whole = readFileSync(path);
    for (let tries = 0; tries < 60; tries += 1) {
      const bytes = Buffer.from(whole);
      const at = randomInt(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << randomInt(8));
      // White space between the values of the manifest says nothing.
      if (file === 'manifest.json' && /\s/.test(String.fromCharCode(whole[at] ?? 0))) continue;
      writeFileSync(path, bytes);
      await expect(check()).rejects.toThrow(/is not a whole backup|has format/);
    }
    writeFileSync(path, whole);
    await check();
  });

  it.each(FILES)('is not whole with the end of %s gone, nor without all of it (K2)', async (file) => {
    finished();
    const path = join(target, file);
    truncateSync(path, readFileSync(path).length - 2);
    await expect(check()).rejects.toThrow('is not a whole backup');
    rmSync(path);
    await expect(check()).rejects.toThrow('is not a whole backup');
  });

  it('of a later format is left alone', () => {
    const { folder, manifest } = write({ format: FORMAT + 1 });
    folder.finish(manifest);
    expect(() => readManifest(target)).toThrow(`has format ${FORMAT + 1}`);
  });
});
