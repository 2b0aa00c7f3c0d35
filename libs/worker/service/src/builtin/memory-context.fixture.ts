// A worker's context for specs: a real folder to read, artifacts kept in memory.

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { builtinContracts } from '@nexusmon/worker-contract';
import type { ArtifactRef, BuiltinName } from '@nexusmon/worker-contract';
import type { WorkerContext } from '../worker-plugin.js';
import type { InputOf, OutputOf } from './builtin-plugin.js';
import { builtinWorkers } from './index.js';

export type MemoryContext = WorkerContext & Readonly<{ kept: Map<string, Uint8Array>; told: string[] }>;

export const memoryContext = (
  allowed_roots: readonly string[],
  forbidden_roots: readonly string[] = [],
  signal: AbortSignal = new AbortController().signal,
  egress: readonly string[] = [],
): MemoryContext => {
  const kept = new Map<string, Uint8Array>();
  const told: string[] = [];
  return {
    kept,
    told,
    signal,
    allowed_roots,
    forbidden_roots,
    egress,
    progress: (message) => void told.push(message),
    put_artifact: (file, media_type, bytes) => Promise.resolve(put(kept, file, media_type, bytes)),
    get_artifact: (artifact_id) => {
      const bytes = kept.get(artifact_id);
      return bytes ? Promise.resolve(bytes) : Promise.reject(new Error(`no artifact ${artifact_id}`));
    },
  };
};

export const put = (
  kept: Map<string, Uint8Array>,
  file: string,
  media_type: string,
  bytes: Uint8Array,
): ArtifactRef => {
  const artifact_id = `art_00000000-0000-7000-8000-${String(kept.size + 1).padStart(12, '0')}`;
  kept.set(artifact_id, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { artifact_id, name: `msn/task/${file}`, sha256, size: bytes.length, media_type };
};

/** Runs a built-in worker and checks its answer as the runner does. */
export const run = async <Name extends BuiltinName>(
  name: Name,
  input: InputOf<Name>,
  context: WorkerContext,
): Promise<OutputOf<Name>> => {
  const worker = builtinWorkers.find((one) => one.name === name);
  if (!worker) throw new Error(`no worker ${name}`);
  const output = await worker.execute({ mission_id: 'msn', task_id: 'task', attempt: 1, input }, context);
  return builtinContracts[name].output.parse(output) as OutputOf<Name>;
};

/** A new folder under the system's temporary one, by its real path. */
export const temporaryFolder = async () => realpath(await mkdtemp(join(tmpdir(), 'nexusmon-builtin-')));

export const removeFolder = (folder: string) => rm(folder, { recursive: true, force: true });

export const writeTree = async (root: string, files: Readonly<Record<string, string | Uint8Array>>) => {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
};
