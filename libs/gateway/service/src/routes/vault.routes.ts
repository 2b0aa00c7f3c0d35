import { artifact_id } from '@nexusmon/shared-contract';
import {
  artifactDocument,
  listArtifacts,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type openedArtifact,
} from '@nexusmon/vault-contract';
import { z } from 'zod';
import { hasTag } from '../http/entity-tag.js';
import { defineRoute, type Answered, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { openContent } from './content.js';
import { document, found, minPosition, pageOf, UNCHANGED } from './conventions.js';

const tag = 'Vault';
const params = z.object({ artifact_id });
const ARTIFACTS = '/v1/vault/artifacts';

/** What may stand in Content-Type as it is; anything else is bytes. */
const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+-]{1,64}\/[A-Za-z0-9!#$&^_.+-]{1,64}(; ?[a-z-]{1,32}=[A-Za-z0-9_.+-]{1,64})*$/;

const contentHeaders = ({ name, media_type, size, sha256 }: ArtifactDocument): Record<string, string> => {
  const file = name.slice(name.lastIndexOf('/') + 1);
  const ascii = file.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  return {
    'content-type': MEDIA_TYPE.test(media_type) ? media_type : 'application/octet-stream',
    'content-length': String(size),
    // Never shown in place: an artifact is whatever a worker wrote.
    'content-disposition': `attachment; filename="${ascii}"; filename*=UTF-8''${encodeURIComponent(file)}`,
    'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
    'cache-control': 'private, no-cache',
    etag: `"${sha256}"`,
  };
};

const contentRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: `${ARTIFACTS}/{artifact_id}/content`,
    summary: "Download an artifact's bytes, verified against their SHA-256",
    tag,
    policy: { access: 'operator' },
    params,
    headers: ['If-None-Match'],
    responses: {
      200: { description: 'The bytes; the ETag is their SHA-256.', media_type: 'application/octet-stream' },
      304: { description: 'The caller has these bytes already.' },
    },
    problems: ['artifact-corrupt'],
    handler: async ({ params: { artifact_id }, request }): Promise<Answered> => {
      const { body } = await services.ask<z.infer<typeof openedArtifact>>(VAULT_SUBJECTS.open, { artifact_id });
      const { artifact, url } = body;
      const { etag = '', ...headers } = contentHeaders(artifact);
      if (hasTag(request.headers['if-none-match'], artifact.sha256)) return { status: 304, headers: { etag } };
      if (request.method === 'HEAD') return { status: 200, headers: { etag, ...headers } };
      return { status: 200, stream: await openContent(url, artifact), headers: { etag, ...headers } };
    },
  });

export const vaultRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: ARTIFACTS,
    summary: 'List artifacts, the newest first',
    tag,
    policy: { access: 'operator' },
    query: listArtifacts,
    responses: { 200: { description: 'A page of artifacts.', schema: pageOf(artifactDocument) } },
    problems: ['malformed-cursor', 'malformed-position', 'position-not-reached'],
    handler: async ({ query }) => found(await services.ask(VAULT_SUBJECTS.list, query)),
  }),
  defineRoute({
    method: 'GET',
    path: `${ARTIFACTS}/{artifact_id}`,
    summary: 'Read the metadata of an artifact',
    tag,
    policy: { access: 'operator' },
    params,
    query: z.object(minPosition),
    headers: ['If-None-Match'],
    responses: { 200: { description: 'The artifact.', schema: artifactDocument }, 304: UNCHANGED },
    problems: ['malformed-position', 'position-not-reached'],
    handler: async (call) => document(await services.ask(VAULT_SUBJECTS.get, { ...call.params, ...call.query })),
  }),
  contentRoute(services),
];
