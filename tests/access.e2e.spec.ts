// Who may do what, on the whole product: what a wrong operator key costs.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { messagesOf } from './support/folds.js';
import { eventually, Product, type Client, type Problem } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const HOUR = 3_600;

let product: Product;
let operator: Client;
let anyone: Client;

beforeAll(async () => {
  // Each caller of this spec can have an address of its own.
  product = await Product.start({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
  operator = await product.operator();
  anyone = await product.anyone();
}, 300_000);
afterAll(() => product.remove(), 60_000);

const login = (operator_key: string, address: string) =>
  anyone.post<Problem>('/v1/auth/login', { operator_key }, { 'x-forwarded-for': address });

/** What a locked-out caller is told, and for how long. */
const lockedFor = ({ status, headers, body }: Awaited<ReturnType<typeof login>>): number => {
  expect([status, body.code]).toEqual([429, 'locked-out']);
  return Number(headers.get('retry-after'));
};

describe('wrong operator keys', () => {
  const GUESSES = 40;

  it('that come together all count, whatever their addresses', async () => {
    const guesses = Array.from({ length: GUESSES }, (_, index) =>
      login(`nx_op_wrong-wrong-wrong-${index}`, `203.0.113.${index}`),
    );
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(1);
    expect(statuses.filter((status) => status === 429)).toHaveLength(GUESSES - 1);
  });

  it('lock the right key out too, wherever it comes from and travels', async () => {
    const seconds = lockedFor(await login(operator.operator_key, '198.51.100.7'));
    expect(seconds).toBeGreaterThan(HOUR - 60);
    for (const path of [MISSIONS, '/health', '/docs']) lockedFor(await operator.get<Problem>(path, operator.sovereign));
    lockedFor(await operator.post<Problem>(`${MISSIONS}/msn_none/approve`, {}, operator.sovereign));
    // A session that is open stays open.
    expect((await operator.get(MISSIONS)).status).toBe(200);
  });

  it('are remembered when the process is killed', async () => {
    const { pids } = await product.run();
    process.kill(pids['standalone'] ?? 0, 'SIGKILL');
    let answer: Awaited<ReturnType<typeof login>> | undefined;
    await eventually(async () => {
      // While the process comes back nothing answers, or 503 does.
      const [tried] = await Promise.allSettled([login(operator.operator_key, '198.51.100.7')]);
      answer = tried.status === 'fulfilled' ? tried.value : undefined;
      return answer !== undefined && answer.status !== 503;
    }, 60);
    expect(answer && lockedFor(answer)).toBeGreaterThan(HOUR - 120);
  });

  it('stand in the log, each with its place and none with its address or key', async () => {
    const counts: Record<string, number> = {};
    for await (const message of messagesOf(product.data_dir, await product.run())) {
      expect(message).not.toMatch(/203\.0\.113\.|nx_op_/);
      const [line = ''] = message.split('\n');
      for (const { type, data } of JSON.parse(line) as { type: string; data: { scope: string } }[])
        if (type === 'nexusmon.access.AttemptRefused.v1') counts[data.scope] = (counts[data.scope] ?? 0) + 1;
    }
    expect(counts).toEqual({ address: GUESSES, account: GUESSES });
  });
});
