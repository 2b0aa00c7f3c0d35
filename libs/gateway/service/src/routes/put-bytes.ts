// Putting bytes into the store, by a URL that the vault has signed for them.

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { problem, unavailable } from '../http/problem.js';

/** A connection on which nothing has moved for so long. */
const STALL_MS = 30_000;
const INSUFFICIENT_STORAGE = 507;
/** A limit of the bucket; a disk that was filled in the middle of a part, which MinIO calls a fault of its own. */
const FULL = /<Code>[A-Za-z]*QuotaExceeded<\/Code>|no space left on device/;

/** The place for parts has been taken away: no later try finds it again. */
const LOST = /<Code>NoSuchUpload<\/Code>/;

const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };

/** What the store says to a PUT of exactly these bytes: its ETag. They are sent as they lie, without a copy. */
export const putBytes = async (url: string, bytes: Uint8Array): Promise<string> => {
  const answer = await exchange(url, bytes);
  const said = await text(answer).catch((cause: unknown) => {
    throw away('broke off', cause);
  });
  const { statusCode = 0, headers } = answer;
  if (statusCode === INSUFFICIENT_STORAGE || FULL.test(said))
    throw problem('store-full', 'the object storage has no room for these bytes');
  if (LOST.test(said)) throw problem('upload-lost', 'the upload stood still for too long');
  if (statusCode !== 200 || headers.etag === undefined) throw away(`answered ${statusCode}`);
  return headers.etag;
};

const away = (how: string, cause?: unknown) =>
  Object.assign(unavailable('vault-storage', `the object store ${how}`), cause === undefined ? {} : { cause });

const exchange = (url: string, bytes: Uint8Array): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const secure = url.startsWith('https:');
    const request = (secure ? httpsRequest : httpRequest)(url, {
      ...{ method: 'PUT', agent: secure ? agents.https : agents.http, timeout: STALL_MS },
      headers: { 'content-length': bytes.byteLength },
    });
    request.once('timeout', () => request.destroy(new Error(`nothing moved for ${STALL_MS} ms`)));
    request.once('error', (error) => reject(away('does not answer', error)));
    request.once('response', resolve);
    request.end(bytes);
  });
