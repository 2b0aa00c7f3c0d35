// Commands under an Idempotency-Key, sent by a client that sends again what was not answered.

import { ask, pause, type Said } from './asking.js';
import type { Client } from './product.js';

export const MISSIONS = '/v1/engine/missions';

export type Keyed = Readonly<{ key: string; path: string; body: object; sovereign?: boolean }>;

export const send = (operator: Client, { key, path, body, sovereign }: Keyed) =>
  ask(operator, 'POST', path, body, {
    'idempotency-key': key,
    ...(sovereign ? { 'x-operator-key': operator.operator_key } : {}),
  });

export const isInFlight = ({ status, body }: Said): boolean => status === 409 && body['code'] === 'request-in-flight';

const RETRY_MS = 50;
const AGAIN = [429, 503, 504];

/** Its answer, once there is one; `onTry` hears of each try that had none. */
export const answered = async (
  operator: Client,
  command: Keyed,
  onTry: (status: number | 'unknown' | 'unasked') => void = () => undefined,
): Promise<Said> => {
  for (;;) {
    const told = await send(operator, command);
    if (typeof told === 'object' && !AGAIN.includes(told.status)) return told;
    onTry(typeof told === 'object' ? told.status : told);
    await pause(RETRY_MS);
  }
};
