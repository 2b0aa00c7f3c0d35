// Artifacts.
//
//   A1. A file appears under its name only when all its bytes have the recorded SHA-256.
//   A2. Bytes for standard output cannot be taken back: their digest decides how the command ends.

import type { Artifact } from '@nexusmon/client';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { openAsBlob } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EXIT } from './exit-codes.js';
import { CliFault, hasCode } from './fault.js';
import { keyed } from './missions.js';
import { listPages, type PageQuery } from './pages.js';
import type { ArtifactListOptions, ArtifactPutOptions } from './program.js';
import type { Session } from './session.js';
import { plainText } from './text.js';

const rows = (artifacts: readonly Artifact[]): string[][] => [
  ['ARTIFACT', 'VERSION', 'BYTES', 'CREATED', 'NAME'],
  ...artifacts.map(({ artifact_id, version, size, created_at, name }) => [
    ...[artifact_id, String(version), String(size), created_at, name],
  ]),
];

export const listArtifacts = (session: Session, { mission, name, ...paging }: ArtifactListOptions): Promise<void> => {
  const filter = { mission_id: mission, name };
  const page = (query: PageQuery) =>
    session.gateway.call('GET /v1/vault/artifacts', { query: { ...filter, ...query } });
  return listPages(session, paging, page, rows);
};

const corrupt = ({ artifact_id, sha256 }: Artifact, digest: string, size: number): CliFault =>
  new CliFault({
    code: 'artifact-corrupt',
    what: `the bytes of ${artifact_id} are not those that were recorded`,
    why: `SHA-256 ${digest} of ${size} bytes, and not ${sha256}`,
    next: 'fetch it again; if it stays so, the store has lost it',
    exit: EXIT.failure,
  });

async function* verified(artifact: Artifact, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of body) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  } catch (error) {
    // The gateway cuts the connection rather than end a wrong content in order.
    if (!(error instanceof TypeError)) throw error;
  }
  const digest = hash.digest('hex');
  if (digest !== artifact.sha256 || size !== artifact.size) throw corrupt(artifact, digest, size);
}

const intoFile = async (file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
  const part = join(dirname(resolve(file)), `.${basename(file)}.${randomBytes(4).toString('hex')}.part`);
  try {
    const handle = await open(part, 'wx');
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    if (!hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'ENOTDIR', 'ENOSPC', 'EROFS', 'EDQUOT')) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CliFault({
      code: 'not-written',
      what: `${file} cannot be written`,
      why,
      exit: EXIT.failure,
      cause: error,
    });
  }
};

const TEXT = /^(text\/|application\/(json|[a-z.+-]+\+json)\b)/;

const intoTerminal = async ({ output }: Session, artifact: Artifact, chunks: AsyncIterable<Uint8Array>) => {
  if (!TEXT.test(artifact.media_type))
    throw new CliFault({
      code: 'usage',
      what: `${artifact.artifact_id} is ${artifact.media_type}, which is nothing for a terminal`,
      next: `nexusmon artifact get ${artifact.artifact_id} -o <file>`,
      exit: EXIT.usage,
    });
  const decoder = new TextDecoder();
  for await (const chunk of chunks) output.raw(plainText(decoder.decode(chunk, { stream: true })));
};

export const getArtifact = async (
  session: Session,
  artifact_id: string,
  { output: file }: Readonly<{ output?: string }>,
): Promise<void> => {
  const { gateway, output } = session;
  const path = { artifact_id };
  const { body: artifact } = await gateway.call('GET /v1/vault/artifacts/{artifact_id}', { path });
  const response = await gateway.open('GET /v1/vault/artifacts/{artifact_id}/content', { path });
  const chunks = verified(artifact, response.body ?? new ReadableStream<Uint8Array>());
  if (file !== undefined) {
    await intoFile(file, chunks);
    if (output.json) output.answer(artifact, () => '');
    else output.say(`${file}: ${artifact.size} bytes, SHA-256 ${artifact.sha256}`);
  } else if (output.is_terminal) await intoTerminal(session, artifact, chunks);
  else for await (const chunk of chunks) if (!output.raw(chunk)) await once(process.stdout, 'drain');
};

const unreadable = (file: string, why: string, cause?: unknown): CliFault =>
  new CliFault({ code: 'usage', what: `${file} cannot be read`, why, exit: EXIT.usage, cause });

/** The bytes of a file, which are read while they are sent. */
const blobOf = async (file: string, type: string | undefined): Promise<Blob> => {
  try {
    if (!(await stat(file)).isFile()) throw unreadable(file, 'it is no file');
    return await openAsBlob(file, type === undefined ? {} : { type });
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'ENOTDIR')) throw error;
    throw unreadable(file, error instanceof Error ? error.message : String(error), error);
  }
};

export const putArtifact = async (
  { gateway, output }: Session,
  file: string,
  options: ArtifactPutOptions,
): Promise<void> => {
  const { name, mediaType, madeFrom } = options;
  const body = {
    name: name ?? basename(file),
    ...(mediaType === undefined ? {} : { media_type: mediaType }),
    ...(madeFrom === undefined ? {} : { inputs: madeFrom }),
    file: await blobOf(file, mediaType),
  };
  const { body: artifact } = await gateway.call('POST /v1/vault/artifacts', { body, ...keyed(options) });
  const { artifact_id, version, size, sha256 } = artifact;
  output.answer(
    artifact,
    () => `${artifact_id}: version ${version} of ${artifact.name}, ${size} bytes, SHA-256 ${sha256}\n`,
  );
};
