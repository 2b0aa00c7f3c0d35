// kill -9 on random processes, in separate mode, while missions are created: every acknowledged mission
// completes, none is doubled, the views equal a fold of the log, and the stage changed where it had to.

import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { drill } from '../support/drill.js';
import { eventually, isEnded, Product, type Client } from '../support/product.js';
import { foldOfMissions, foldOfStages, viewOfMissions } from '../support/folds.js';

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

describe('after kill -9', () => {
  const acknowledged = new Map<string, string>();
  let product: Product;
  let operator: Client;
  let creating = true;

  beforeAll(async () => {
    product = await Product.start({ args: ['--separate'] });
    operator = await product.operator();
  }, 300_000);
  afterAll(() => product.remove(), 60_000);

  /** Undefined where the line broke: then nobody knows, and the same request is sent again. */
  const attempt = async (body: object, key: string) => {
    try {
      return await operator.post<MissionDocument>('/v1/engine/missions', body, { 'idempotency-key': key });
    } catch (error) {
      if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) return undefined;
      throw error;
    }
  };

  /** One client: creates missions under its own keys, and repeats each until it has an answer. */
  const client = async (name: number): Promise<void> => {
    for (let round = 0; creating; round++) {
      const key = `kill-${name}-${round}`;
      const body = {
        goal: `Survive ${key}`,
        tags: [key],
        plan: {
          tasks: [
            { task_id: 'a', worker: 'system.echo', input: { value: key } },
            { task_id: 'b', worker: 'system.echo', input: { value: { $output: 'a' } }, depends_on: ['a'] },
          ],
        },
      };
      for (let tries = 0; tries < 600 && !acknowledged.has(key); tries++) {
        const answer = await attempt(body, key);
        if (answer?.status === 201) acknowledged.set(key, answer.body.mission_id);
        else if (answer && ![409, 429, 503, 504].includes(answer.status)) throw new Error(JSON.stringify(answer.body));
        else await pause(100);
      }
      await pause(20);
    }
  };

  const P1 = {
    promise: 'P1',
    title: 'kill -9 of any process loses and doubles nothing that was answered',
    rounds: { test: 20, drill: 1_000 },
    minutes: { test: 15, drill: 120 },
  };
  drill(P1, async ({ n, random, figure }) => {
    const clients = [0, 1, 2, 3].map(client);
    const killed: string[] = [];
    for (let kill = 0; kill < n; kill++) {
      await pause(300 + random() * 1_200);
      const { pids } = await product.run();
      const names = Object.keys(pids).sort();
      const name = names[Math.floor(random() * names.length)] ?? '';
      const pid = pids[name];
      if (pid === undefined) throw new Error(`no pid of ${name}`);
      try {
        process.kill(pid, 'SIGKILL');
        killed.push(name);
      } catch (error) {
        // It died a moment ago by our own hand and is being restarted: draw again.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
        kill -= 1;
      }
    }
    creating = false;
    await Promise.all(clients);
    expect(killed).toHaveLength(n);
    expect(acknowledged.size).toBeGreaterThan(n);

    const settled = async (mission_id: string) => {
      for (let tries = 0; ; tries++)
        try {
          return await operator.until(mission_id, isEnded, 120);
        } catch (error) {
          if (tries >= 100) throw error;
          await pause(500);
        }
    };
    for (const [key, mission_id] of acknowledged) {
      const mission = await settled(mission_id);
      expect({ key, status: mission.status, error: mission.error }).toEqual({
        key,
        status: 'completed',
        error: undefined,
      });
    }

    const fold = await foldOfMissions(product.data_dir, await product.run());
    const tags = [...fold.values()].map(({ tag }) => tag);
    expect(new Set(tags).size).toBe(tags.length);
    expect(fold.size).toBe(acknowledged.size);
    for (const mission of fold.values()) expect(mission.completions).toBe(1);
    for (const mission of fold.values()) expect(mission.results).toEqual({ a: 1, b: 1 });
    expect(await viewOfMissions(product.data_dir, await product.run(), fold)).toEqual(fold);

    // The stage follows a moment later, by a reactor.
    let stages = await foldOfStages(product.data_dir, await product.run());
    await eventually(async () => {
      stages = await foldOfStages(product.data_dir, await product.run());
      return stages.recorded.length >= stages.expected.length;
    }, 60);
    expect(stages.recorded).toEqual(stages.expected);
    expect(stages.expected.length).toBeGreaterThan(1);
    figure('missions', acknowledged.size);
  });
});
