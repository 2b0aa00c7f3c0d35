import { artifact_id } from '@nexusmon/shared-contract';
import {
  artifactDocument,
  askLineage,
  checkDocument,
  deleteBody,
  lineageDocument,
  listArtifacts,
  listVersions,
  PIECE_BYTES,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type openedArtifact,
  type pieceDigests,
} from '@nexusmon/vault-contract';
import { z } from 'zod';
import { wantedRange, type ByteRange } from '../http/byte-range.js';
import { commandOf } from '../http/commands.js';
import { hasTag } from '../http/entity-tag.js';
import { problem } from '../http/problem.js';
import { defineRoute, type Answered, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { openContent, openRange, piecesOf, type Pieces } from './content.js';
import { document, found, LIST_PROBLEMS, minPosition, pageOf, READ_PROBLEMS, UNCHANGED } from './conventions.js';
import type { KeyOf } from './evolution.routes.js';
import { MEDIA_TYPE, uploadRoute, type UploadParts } from './upload.route.js';

const tag = 'Vault';
const params = z.object({ artifact_id });
const ARTIFACTS = '/v1/vault/artifacts';
const ARTIFACT = `${ARTIFACTS}/{artifact_id}`;
/** The pieces of what was recorded before pieces were kept are read from the whole once. */
const PIECES_TIMEOUT_MS = 60_000;
/** 5 GiB from a slow disk. */
const CHECK_TIMEOUT_MS = 300_000;

/** RFC 8187: what may stand unescaped is less than in a path. */
const extended = (text: string): string =>
  encodeURIComponent(text).replaceAll(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

const contentHeaders = ({ name, media_type, size, sha256 }: ArtifactDocument): Record<string, string> => {
  const file = name.slice(name.lastIndexOf('/') + 1);
  const ascii = file.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  return {
    'content-type': MEDIA_TYPE.test(media_type) ? media_type : 'application/octet-stream',
    'content-length': String(size),
    'accept-ranges': 'bytes',
    // Never shown in place: an artifact is whatever a worker wrote.
    'content-disposition': `attachment; filename="${ascii}"; filename*=UTF-8''${extended(file)}`,
    'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
    'cache-control': 'private, no-cache',
    etag: `"${sha256}"`,
  };
};

type Opened = z.infer<typeof openedArtifact>;

/** What the bytes of a range are checked by; nothing where the whole is one piece. */
const piecesFor = async (
  services: Services,
  artifact: ArtifactDocument,
  range: ByteRange,
): Promise<Pieces | undefined> => {
  if (artifact.size <= PIECE_BYTES) return undefined;
  const asked = piecesOf(range, PIECE_BYTES);
  const { body } = await services.ask<z.infer<typeof pieceDigests>>(
    VAULT_SUBJECTS.pieces,
    { artifact_id: artifact.artifact_id, ...asked },
    { timeout_ms: PIECES_TIMEOUT_MS },
  );
  return { ...asked, bytes: PIECE_BYTES, sha256: body.sha256 };
};

const partial = async (services: Services, { artifact, url }: Opened, range: ByteRange): Promise<Answered> => {
  const stream = await openRange(url, artifact, range, await piecesFor(services, artifact, range));
  const headers = {
    ...contentHeaders(artifact),
    'content-length': String(range.last - range.first + 1),
    'content-range': `bytes ${range.first}-${range.last}/${artifact.size}`,
  };
  return { status: 206, stream, headers };
};

const unsatisfiable = ({ size }: ArtifactDocument) =>
  problem('range-not-satisfiable', {
    detail: `the artifact has ${size} bytes`,
    headers: { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' },
  });

const contentRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: `${ARTIFACT}/content`,
    summary: "Download an artifact's bytes, or a range of them, verified against their SHA-256",
    tag,
    policy: { access: 'scope', scope: 'vault:read' },
    params,
    headers: ['If-None-Match', 'Range', 'If-Range'],
    responses: {
      200: { description: 'The bytes; the ETag is their SHA-256.', media_type: 'application/octet-stream' },
      206: { description: 'The range that Content-Range names.', media_type: 'application/octet-stream' },
      304: { description: 'The caller has these bytes already.' },
    },
    problems: ['artifact-corrupt', 'artifact-deleted', 'artifact-lost', 'range-not-satisfiable'],
    handler: async ({ params: { artifact_id }, request }): Promise<Answered> => {
      const { body } = await services.ask<Opened>(VAULT_SUBJECTS.open, { artifact_id });
      const { artifact, url } = body;
      const headers = contentHeaders(artifact);
      const { etag = '' } = headers;
      if (hasTag(request.headers['if-none-match'], artifact.sha256)) return { status: 304, headers: { etag } };
      if (request.method === 'HEAD') return { status: 200, headers };
      const range = wantedRange(request.headers, { size: artifact.size, tag: artifact.sha256 });
      if (range === 'unsatisfiable') throw unsatisfiable(artifact);
      if (range !== 'whole') return partial(services, body, range);
      return { status: 200, stream: await openContent(url, artifact), headers };
    },
  });

const listRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: ARTIFACTS,
    summary: 'List artifacts, the newest first',
    tag,
    policy: { access: 'scope', scope: 'vault:read' },
    query: listArtifacts,
    responses: { 200: { description: 'A page of artifacts.', schema: pageOf(artifactDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.pass(VAULT_SUBJECTS.list, query)),
  }),
  defineRoute({
    method: 'GET',
    path: `${ARTIFACT}/versions`,
    summary: 'List the versions of the name that an artifact has, the newest first',
    tag,
    policy: { access: 'scope', scope: 'vault:read' },
    params,
    query: listVersions.omit({ artifact_id: true }),
    responses: { 200: { description: 'A page of versions.', schema: pageOf(artifactDocument) } },
    problems: LIST_PROBLEMS,
    handler: async (call) => found(await services.ask(VAULT_SUBJECTS.versions, { ...call.params, ...call.query })),
  }),
];

const readRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: ARTIFACT,
    summary: 'Read the metadata of an artifact',
    tag,
    policy: { access: 'scope', scope: 'vault:read' },
    params,
    query: z.object(minPosition),
    headers: ['If-None-Match'],
    responses: { 200: { description: 'The artifact.', schema: artifactDocument }, 304: UNCHANGED },
    problems: READ_PROBLEMS,
    handler: async (call) => document(await services.pass(VAULT_SUBJECTS.get, { ...call.params, ...call.query })),
  }),
  contentRoute(services),
  defineRoute({
    method: 'GET',
    path: `${ARTIFACT}/lineage`,
    summary: 'What an artifact was made from, and what was made from it',
    tag,
    policy: { access: 'scope', scope: 'vault:read' },
    params,
    query: askLineage.omit({ artifact_id: true }),
    responses: { 200: { description: 'The artifacts around it, with their producers.', schema: lineageDocument } },
    problems: READ_PROBLEMS,
    handler: async (call) => found(await services.ask(VAULT_SUBJECTS.lineage, { ...call.params, ...call.query })),
  }),
];

const deleteRoute = ({ services, in_flight, keyOf }: VaultParts): Route =>
  defineRoute({
    method: 'DELETE',
    path: ARTIFACT,
    summary: 'Delete an artifact: its bytes go with the last artifact that has them, its metadata stays',
    tag,
    policy: { access: 'scope', scope: 'vault:write' },
    params,
    body: deleteBody,
    headers: ['Idempotency-Key'],
    responses: { 200: { description: 'The artifact, deleted.', schema: artifactDocument } },
    problems: ['mission-running', 'rank-above-ceiling', 'log-read-only'],
    handler: async (call) => {
      const command = commandOf(call, 'artifact.delete', call.params.artifact_id);
      const key_id = await keyOf(call.principal.actor);
      const request = { asked: command.asked, ...call.params, ...call.body, key_id };
      return in_flight.run(command, async () => found(await services.ask(VAULT_SUBJECTS.delete, request)));
    },
  });

const checkRoute = ({ services, in_flight }: VaultParts): Route =>
  defineRoute({
    method: 'POST',
    path: `${ARTIFACT}/check`,
    summary: 'Read the stored bytes of an artifact now, and say whether they are those that were recorded',
    tag,
    policy: { access: 'scope', scope: 'vault:write' },
    params,
    headers: ['Idempotency-Key'],
    responses: { 200: { description: 'What was found.', schema: checkDocument } },
    problems: ['artifact-deleted', 'log-read-only'],
    handler: (call) => {
      const command = commandOf(call, 'artifact.check', call.params.artifact_id);
      const request = { asked: command.asked, ...call.params };
      const limit = { timeout_ms: CHECK_TIMEOUT_MS };
      return in_flight.run(command, async () => {
        const { body } = await services.ask(VAULT_SUBJECTS.check, request, limit);
        return { status: 200, body };
      });
    },
  });

export type VaultParts = UploadParts & Readonly<{ keyOf: KeyOf }>;

export const vaultRoutes = (parts: VaultParts): Route[] => [
  ...listRoutes(parts.services),
  ...readRoutes(parts.services),
  uploadRoute(ARTIFACTS, tag, parts),
  deleteRoute(parts),
  checkRoute(parts),
];
