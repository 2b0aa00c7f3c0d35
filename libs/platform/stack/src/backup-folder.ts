// The folder of a backup
//
//   manifest.json               what there is, and the digest of each part
//   log/<stream>.jsonl          every message of the stream, one per line
//   rows/keys.jsonl             wrapped data keys
//   rows/reactors.jsonl         how far each reactor had come
//   blobs.jsonl                 the key and size of every blob
//   blobs/…, enclosures/…       the blobs, under the keys that they have in the store
//
//   K1. It is written beside its place and moved there when all of it is on disk: what has its name is whole.
//   K2. Nothing in it is believed: every part has a digest in the manifest, the manifest one of itself, and a blob's
//       name is its own.
//   K3. The master secret is not in it, nor anything that lets its reader in.

import { createHash, hash, type Hash } from 'node:crypto';
import { closeSync, createReadStream, existsSync, fsyncSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { readdirSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { StartFault } from './fault.js';

export const FORMAT = 1;
const MANIFEST = 'manifest.json';
export const KEYS_FILE = 'rows/keys.jsonl';
export const REACTORS_FILE = 'rows/reactors.jsonl';
export const BLOBS_FILE = 'blobs.jsonl';
export const logFile = (stream: string): string => `log/${stream}.jsonl`;

export type Part = Readonly<{ file: string; lines: number; bytes: number; sha256: string }>;

export type StreamPart = Part &
  Readonly<{
    number: number;
    name: string;
    incarnation: string;
    created: string;
    last_sequence: number;
    /** Of what must be the same wherever it is put back: see `contentOf` in kept-log.ts. */
    content_sha256: string;
  }>;

export type Manifest = Readonly<{
  format: number;
  backup_id: string;
  product: string;
  began_at: string;
  taken_at: string;
  streams: readonly StreamPart[];
  parts: readonly Part[];
  /** `damaged`: those whose bytes in the store were not what their key says; they are not in the backup. */
  blobs: Readonly<{ count: number; bytes: number; damaged: readonly string[] }>;
  /** Tells the master secret from another without saying anything about it. */
  master_proof: string;
  /** Of the operator key: what a decision about this log is signed with. */
  operator_public_key: string;
}>;

const sealOf = (manifest: Manifest): string => hash('sha256', JSON.stringify(manifest), 'hex');

/** A file of JSON lines, hashed as it is written. */
export class PartWriter {
  private readonly descriptor: number;
  private readonly digest: Hash = createHash('sha256');
  private lines = 0;
  private bytes = 0;

  constructor(
    folder: string,
    private readonly file: string,
  ) {
    mkdirSync(dirname(join(folder, file)), { recursive: true, mode: 0o700 });
    this.descriptor = openSync(join(folder, file), 'wx', 0o600);
  }

  write(document: unknown): void {
    const line = `${JSON.stringify(document)}\n`;
    writeSync(this.descriptor, line);
    this.digest.update(line);
    this.lines += 1;
    this.bytes += Buffer.byteLength(line);
  }

  end(): Part {
    fsyncSync(this.descriptor);
    closeSync(this.descriptor);
    return { file: this.file, lines: this.lines, bytes: this.bytes, sha256: this.digest.digest('hex') };
  }
}

/** Entries of folders are on disk only when the folders are. */
const syncFolders = (folder: string): void => {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) syncFolders(join(folder, entry.name));
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
};

export type BackupFolder = Readonly<{
  /** Where parts are written. */
  path: string;
  /** The manifest, and then the name (K1). */
  finish: (manifest: Manifest) => void;
  discard: () => void;
}>;

export const beginBackup = (target: string): BackupFolder => {
  if (existsSync(target)) throw new StartFault(`${target} is there already: name a folder that is not`);
  const path = `${target}.part`;
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return {
    path,
    finish: (manifest) => {
      const text = `${JSON.stringify({ ...manifest, sha256: sealOf(manifest) }, undefined, 2)}\n`;
      writeFileSync(join(path, MANIFEST), text, { mode: 0o600, flag: 'wx', flush: true });
      syncFolders(path);
      renameSync(path, target);
      const parent = openSync(dirname(target), 'r');
      fsyncSync(parent);
      closeSync(parent);
    },
    discard: () => rmSync(path, { recursive: true, force: true }),
  };
};

const broken = (folder: string, why: string): StartFault =>
  new StartFault(`${folder} is not a whole backup: ${why}. Take another one`);

/** What a folder says that it holds, and the digest by which it is known. */
export const readManifest = (folder: string): { manifest: Manifest; digest: string } => {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) throw broken(folder, `it has no ${MANIFEST}`);
  const text = readFileSync(path, 'utf8');
  let said: Manifest & { sha256: string };
  try {
    said = JSON.parse(text) as Manifest & { sha256: string };
  } catch (cause) {
    throw broken(folder, `${MANIFEST} is not JSON (${String(cause)})`);
  }
  const { sha256, ...manifest } = said;
  if (manifest.format !== FORMAT)
    throw new StartFault(`${folder} has format ${manifest.format}; this version reads ${FORMAT}`);
  if (sealOf(manifest) !== sha256) throw broken(folder, `${MANIFEST} is not as it was written`);
  return { manifest, digest: hash('sha256', text, 'hex') };
};

export const linesOf = async function* (folder: string, file: string): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: createReadStream(join(folder, file)) })) yield JSON.parse(line);
};

const digestOf = async (path: string): Promise<string> => {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer);
  return digest.digest('hex');
};

export type KeptBlob = Readonly<{ key: string; bytes: number }>;

/** The digest that a blob's key ends with. */
export const digestIn = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** Reads all of it and compares it with what the manifest says (K2). */
export const checkParts = async (
  folder: string,
  { streams, parts, blobs }: Manifest,
  onProgress: (text: string) => void,
): Promise<void> => {
  for (const { file, bytes, sha256 } of [...streams, ...parts]) {
    onProgress(`checking ${file}`);
    const path = join(folder, file);
    if (!existsSync(path)) throw broken(folder, `${file} is missing`);
    if (statSync(path).size !== bytes) throw broken(folder, `${file} has another size`);
    if ((await digestOf(path)) !== sha256) throw broken(folder, `${file} has other bytes`);
  }
  let checked = 0;
  for await (const line of linesOf(folder, BLOBS_FILE)) {
    const { key } = line as KeptBlob;
    const path = join(folder, key);
    if (!existsSync(path)) throw broken(folder, `${key} is missing`);
    if ((await digestOf(path)) !== digestIn(key)) throw broken(folder, `${key} has other bytes`);
    checked += 1;
    onProgress(`checking blob ${checked} of ${blobs.count}`);
  }
};
