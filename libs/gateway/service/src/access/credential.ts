// What a request carries to say who sends it.

import type { FastifyRequest } from 'fastify';
import { problem } from '../http/problem.js';
import { singleHeader } from '../http/validation.js';

export const COOKIE = 'nexusmon_session';

export type Credential = Readonly<{ text: string; from: 'header' | 'cookie' }>;

/** Undefined where none is sent. */
export const credentialOf = (request: FastifyRequest): Credential | undefined => {
  const authorization = singleHeader(request, 'Authorization');
  if (authorization !== undefined) {
    const text = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization)?.[1];
    if (text === undefined) throw problem('credential-invalid', 'Authorization is not of the form Bearer <token>');
    return { text, from: 'header' };
  }
  const text = cookieIn(request.headers.cookie);
  return text === undefined ? undefined : { text, from: 'cookie' };
};

const cookieIn = (header: string | undefined): string | undefined => {
  for (const pair of (header ?? '').split(';')) {
    const [name = '', value = ''] = pair.split('=', 2).map((part) => part.trim());
    if (name === COOKIE && value !== '') return value;
  }
  return undefined;
};
