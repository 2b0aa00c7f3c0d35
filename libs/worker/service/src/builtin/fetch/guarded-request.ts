// One request to a place outside.
//
//   G1. A name is resolved once, by us. Every address that it has is looked at; one that is not public refuses the
//       request, and only what was looked at is dialled.
//   G2. An address in the URL is dialled only because the list names that very address with its port.
//   G3. Nothing of this machine goes along: no proxy, no cookie, no credential, no environment.
//   G4. What is read is bounded, as it comes and as it is decoded, and nothing beyond the bound is kept.

import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { EgressRule } from '@nexusmon/shared-contract';
import { WorkerFault } from '../../worker-plugin.js';
import { isPublic } from './address.js';

export type Address = Readonly<{ address: string; family: number }>;
export type Resolve = (hostname: string) => Promise<readonly Address[]>;
/** How names become addresses, and which of those may be dialled. */
export type Names = Readonly<{ resolve: Resolve; admits: (address: string) => boolean }>;

export const SYSTEM_NAMES: Names = {
  resolve: (hostname) => systemLookup(hostname, { all: true }),
  admits: isPublic,
};

export type GuardedRequest = Readonly<{
  url: URL;
  /** By which the URL is permitted. */
  rule: EgressRule;
  method: 'GET' | 'HEAD';
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
}>;

const HEADER_BYTES_MAX = 16 * 1024;
const ADDRESSES_MAX = 32;

/** G1, G2 */
export const addressesOf = async (
  url: URL,
  rule: EgressRule,
  { resolve, admits }: Names,
): Promise<readonly Address[]> => {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const family = isIP(hostname);
  if (family !== 0) {
    if (rule.address && rule.host === url.hostname) return [{ address: hostname, family }];
    throw new WorkerFault(`${url.hostname} is not listed as an address`, false);
  }
  const addresses = await resolve(hostname);
  if (addresses.length === 0) throw new WorkerFault(`${hostname} has no address`, true);
  for (const { address } of addresses)
    if (!admits(address)) throw new WorkerFault(`${hostname} leads to ${address}, which is not public`, false);
  return addresses.slice(0, ADDRESSES_MAX);
};

/** Stands in the place of a second resolution, whose answer could be another. */
export const pinned =
  (addresses: readonly Address[]): LookupFunction =>
  (_hostname, options, answer) => {
    const [first] = addresses;
    if (options.all) answer(null, [...addresses]);
    else if (first) answer(null, first.address, first.family);
    else answer(new Error('nothing to dial'), '', 0);
  };

/** The answer, its body still unread. */
export const send = async (
  { url, rule, method, headers, signal }: GuardedRequest,
  names: Names,
): Promise<IncomingMessage> => {
  const addresses = await until(signal, addressesOf(url, rule, names));
  const secure = url.protocol === 'https:';
  const options: RequestOptions = {
    // Of our own, for this request alone: the global ones may have been given a proxy (G3).
    agent: secure
      ? new HttpsAgent({ keepAlive: false, rejectUnauthorized: true })
      : new HttpAgent({ keepAlive: false }),
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: rule.port,
    path: `${url.pathname}${url.search}`,
    method,
    headers: { ...headers, host: url.host, connection: 'close' },
    lookup: pinned(addresses),
    maxHeaderSize: HEADER_BYTES_MAX,
    signal,
  };
  return new Promise((answered, failed) => {
    const request = (secure ? httpsRequest : httpRequest)(options);
    request.once('response', answered);
    request.once('error', failed);
    request.end();
  });
};

/** Rejects when the signal aborts, also where what is waited for takes no signal. */
const until = async <Answer>(signal: AbortSignal, answer: Promise<Answer>): Promise<Answer> => {
  const over = Promise.withResolvers<never>();
  const end = () => over.reject(signal.reason);
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([answer, over.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
};

const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};
export const ACCEPT_ENCODING = 'gzip, deflate, br';

const tooLarge = (bytes_max: number) => new WorkerFault(`the body is larger than ${bytes_max} bytes`, false);

const bounded = (bytes_max: number) =>
  async function* (source: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    let length = 0;
    for await (const chunk of source as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > bytes_max) throw tooLarge(bytes_max);
      yield chunk;
    }
  };

/** The whole body, decoded (G4). */
export const readBody = async (answer: IncomingMessage, bytes_max: number): Promise<Buffer> => {
  if (Number(answer.headers['content-length'] ?? 0) > bytes_max) {
    answer.destroy();
    throw tooLarge(bytes_max);
  }
  const encoding = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (!decoder && encoding !== 'identity' && encoding !== '') {
    answer.destroy();
    throw new WorkerFault(`the body is encoded as ${encoding}, which was not asked for`, false);
  }
  const chunks: Buffer[] = [];
  const keep = async (source: AsyncIterable<unknown>): Promise<void> => {
    for await (const chunk of bounded(bytes_max)(source)) chunks.push(chunk);
  };
  if (decoder) await pipeline(answer, bounded(bytes_max), decoder(), keep);
  else await pipeline(answer, keep);
  return Buffer.concat(chunks);
};
