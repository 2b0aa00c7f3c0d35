// Files and folders opened at a path without links, whatever is swapped for a link while they are opened.
//
//   L1. What is read lay at the very path that was asked for, every folder above it included, after it was opened.
//       `O_NOFOLLOW` alone speaks for the last name only.
//   L2. A handle stays on what it was opened on: once that is known to be the right one, nothing that happens to the
//       path matters. Folders are listed through their handle for the same reason.
//   L3. What lies elsewhere by then counts as gone: no byte, size or name of it is read.
//   L4. Where the system does not tell the path of a handle, the path is resolved before and after and compared with
//       what was opened. That is not proof: swaps at just these moments would pass.

import { constants, existsSync, readlinkSync } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const FLAGS = { any: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, folder: O_RDONLY | O_NOFOLLOW | O_DIRECTORY };
const HANDLES = '/proc/self/fd';
const SLASH = Buffer.from('/');

export class MovedAway extends Error {
  override readonly name = 'MovedAway';
  readonly code = 'MOVED';
}

/** How it is known where an open handle lies. */
export type Proof = Readonly<{
  before: (path: Buffer) => Promise<void>;
  after: (handle: FileHandle, path: Buffer) => Promise<void>;
  /** The path by which an open folder is listed. */
  within: (handle: FileHandle, path: Buffer) => Buffer;
}>;

const same = (found: Buffer, wanted: Buffer) => {
  if (!found.equals(wanted)) throw new MovedAway('another path leads to what was opened');
};

const isAt = async (path: Buffer) => same(await realpath(path, 'buffer'), path);
const handlePath = (handle: FileHandle) => Buffer.from(`${HANDLES}/${handle.fd}`);

export const provenByHandle: Proof = {
  before: () => Promise.resolve(),
  // Answered from memory by the kernel, so that a turn through the thread pool would take longer than the answer.
  after: (handle, path) => Promise.resolve(same(readlinkSync(handlePath(handle), 'buffer'), path)),
  within: handlePath,
};

export const provenByPath: Proof = {
  before: isAt,
  after: async (handle, path) => {
    const [opened, found] = await Promise.all([handle.stat({ bigint: true }), lstat(path, { bigint: true })]);
    if (opened.dev !== found.dev || opened.ino !== found.ino) throw new MovedAway('something else was opened');
    await isAt(path);
  },
  within: (_handle, path) => path,
};

const PROOF = process.platform === 'linux' && existsSync(HANDLES) ? provenByHandle : provenByPath;

/** Opens what lies at a real path. The caller closes the handle, and looks at what kind of thing it is. */
export const openReal = async (
  path: Buffer,
  kind: keyof typeof FLAGS = 'any',
  proof: Proof = PROOF,
): Promise<FileHandle> => {
  await proof.before(path);
  const handle = await open(path, FLAGS[kind]);
  try {
    await proof.after(handle, path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
};

/** Gives `use` a path by which the folder can be listed, and nothing but it. */
export const inRealFolder = async <Value>(
  path: Buffer,
  use: (within: Buffer) => Promise<Value>,
  proof: Proof = PROOF,
): Promise<Value> => {
  await using handle = await openReal(path, 'folder', proof);
  const value = await use(proof.within(handle, path));
  await proof.after(handle, path);
  return value;
};

/** The size of a file that need not be readable. */
export const realSize = (path: Buffer, proof: Proof = PROOF): Promise<number> => {
  const cut = path.lastIndexOf(0x2f);
  const folder = cut === 0 ? SLASH : path.subarray(0, cut);
  return inRealFolder(
    folder,
    async (within) => (await lstat(Buffer.concat([within, SLASH, path.subarray(cut + 1)]))).size,
    proof,
  );
};

/** The bytes of a regular file; undefined when it has more than `bytes_max`. */
export const readReal = async (path: Buffer, bytes_max: number, proof: Proof = PROOF): Promise<Buffer | undefined> => {
  await using handle = await openReal(path, 'any', proof);
  const stat = await handle.stat();
  if (!stat.isFile()) throw new MovedAway('it is no file any more');
  if (stat.size > bytes_max) return undefined;
  const bytes = Buffer.alloc(stat.size);
  let size = 0;
  while (size < bytes.length) {
    const { bytesRead } = await handle.read(bytes, size, bytes.length - size, size);
    if (bytesRead === 0) break;
    size += bytesRead;
  }
  return bytes.subarray(0, size);
};
