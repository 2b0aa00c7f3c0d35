// One question to the product, asked once, and what came of it where the line, the process or the server may break.

import type { Client } from './product.js';

export const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

export const pick = <Item>(items: readonly Item[], random: () => number): Item => {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
};

export type Said = Readonly<{ status: number; headers: Headers; body: Record<string, unknown> }>;
/** `unasked`: nobody listened. */
export type Told = Said | 'unknown' | 'unasked';

const ANSWER_MS_MAX = 12_000;
const UNASKED = ['ECONNREFUSED'];

export const ask = async (
  operator: Client,
  method: string,
  path: string,
  body?: object,
  headers: object = {},
): Promise<Told> => {
  try {
    const response = await fetch(`${operator.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${operator.token}`,
        'user-agent': 'nexusmon-tests',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const answered = (await response.json()) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, body: answered };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code } = (error.cause ?? {}) as { code?: string };
    if (code !== undefined && UNASKED.includes(code)) return 'unasked';
    if (error instanceof TypeError || error.name === 'TimeoutError' || error instanceof SyntaxError) return 'unknown';
    throw error;
  }
};
