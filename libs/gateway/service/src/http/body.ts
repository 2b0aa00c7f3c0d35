// Request bodies: how much is read, and what becomes of the rest.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { BODY_MS, late } from './deadlines.js';

export const BODY_BYTES_MAX = 1024 * 1024;
/** Of a body that is too large this much is read and thrown away, so that the sender gets to read the 413. */
export const DISCARDED_BYTES_MAX = 16 * 1024 * 1024;

export type ReadBody = Readonly<{ kind: 'whole'; bytes: Buffer }> | Readonly<{ kind: 'too_large'; drained: boolean }>;

/** Never rejects on size: the route answers, and only then is the connection given up where the rest is too much. */
const readBody = async (payload: IncomingMessage): Promise<ReadBody> => {
  const chunks: Buffer[] = [];
  let length = 0;
  // Left by `return`, the iterator would destroy the connection before the answer is out.
  for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= BODY_BYTES_MAX) chunks.push(chunk);
    else chunks.length = 0;
    if (length > DISCARDED_BYTES_MAX) return { kind: 'too_large', drained: false };
  }
  return length > BODY_BYTES_MAX
    ? { kind: 'too_large', drained: true }
    : { kind: 'whole', bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length) };
};

/** A body that is late is not waited for; the connection ends with the answer. */
const within = async <Read>(ms: number, reading: Promise<Read>): Promise<Read> => {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(late()), ms);
  try {
    return await Promise.race([reading, over.promise]);
  } finally {
    clearTimeout(timer);
  }
};

/** The one media type that is understood; everything else is Fastify's 415. */
export const acceptJsonBodies = (http: FastifyInstance, body_ms = BODY_MS): void => {
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', (_request: FastifyRequest, payload: IncomingMessage) =>
    within(body_ms, readBody(payload)),
  );
};
