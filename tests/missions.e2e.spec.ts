// One story per way through a mission, over HTTP on the whole product.

import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApprovalDocument, ReviewDocument } from '@nexusmon/governance-contract';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import { eventually, isEnded, Product, type Client, type Problem } from './support/product.js';

const echo = (task_id: string, depends_on: string[] = [], value: unknown = task_id) => ({
  task_id,
  worker: 'system.echo',
  input: { value },
  depends_on,
});
const three = {
  tasks: [echo('one'), echo('two', ['one'], { $output: 'one', pointer: '/value' }), echo('three', ['two'])],
};

/** So many dependencies under such long names that the plan is large even without its inputs. */
const tangled = {
  tasks: Array.from({ length: 80 }, (_, index) => {
    const names = Array.from({ length: index + 1 }, (__, before) => `${before}`.padEnd(64, '_'));
    return echo(names[index] ?? '', names.slice(0, index));
  }),
};

describe('a mission', () => {
  let product: Product;
  /** What is on the list of hosts that may be asked, and nothing else is. */
  let outside: Server;
  let listed: string;
  let operator: Client;

  beforeAll(async () => {
    outside = createServer((request, response) => {
      if (request.url === '/away') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      else response.writeHead(200, { 'content-type': 'text/plain' }).end(`you asked for ${request.url}`);
    });
    await new Promise<void>((done) => {
      outside.listen(0, '127.0.0.1', done);
    });
    listed = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
    product = await Product.start({ env: { NEXUSMON_FETCH_HOSTS: listed } });
    operator = await product.operator();
  }, 300_000);
  afterAll(async () => {
    outside.close();
    await product.remove();
  }, 60_000);

  const create = async (body: object, headers?: Record<string, string>) => {
    const answer = await operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Say it', ...body }, headers);
    expect(answer.status).toBe(201);
    return answer.body;
  };
  const verb = (mission_id: string, name: string, body: object = {}, headers?: Record<string, string>) =>
    operator.post<MissionDocument & Partial<Omit<Problem, 'status'>>>(
      `/v1/engine/missions/${mission_id}/${name}`,
      body,
      headers,
    );
  const key = () => operator.sovereign;

  it('runs its plan in order and hands outputs on', async () => {
    const { mission_id } = await create({ plan: three });
    const mission = await operator.until(mission_id, isEnded);
    expect(mission).toMatchObject({ status: 'completed', effective_rank: 'E', plan_source: 'request' });
    expect(mission.tasks.map(({ status, output }) => [status, output])).toEqual([
      ['completed', { value: 'one' }],
      ['completed', { value: 'one' }],
      ['completed', { value: 'three' }],
    ]);
  });

  it.each(['E', 'D'])('of rank %s runs by itself and is not flagged', async (rank) => {
    const { mission_id } = await create({ plan: three, rank });
    const mission = await operator.until(mission_id, isEnded);
    expect(mission.decision).toMatchObject({ gate_outcome: 'execute' });
  });

  it.each(['C', 'B'])('of rank %s runs and is flagged for review', async (rank) => {
    const { mission_id } = await create({ plan: three, rank });
    const mission = await operator.until(mission_id, isEnded);
    expect(mission).toMatchObject({ status: 'completed', decision: { gate_outcome: 'execute_and_flag' } });
    const flagged = async () => {
      const { body } = await operator.get<Page<ReviewDocument>>('/v1/reviews?limit=200');
      return body.data.some((review) => review.mission_id === mission_id && review.rank === rank);
    };
    await eventually(flagged);
  });

  it('of rank A waits, refuses a start without the operator key, and runs once granted', async () => {
    const created = await create({ plan: three, rank: 'A' });
    const { mission_id } = created;
    expect(created.status).toBe('awaiting_approval');
    expect((await verb(mission_id, 'run')).status).toBe(403);
    expect((await verb(mission_id, 'approve')).status).toBe(403);
    expect((await operator.mission(mission_id)).tasks.every(({ attempt }) => attempt === 0)).toBe(true);

    const asked = async () =>
      (await operator.get<Page<ApprovalDocument>>(`/v1/approvals?mission_id=${mission_id}`)).body.data;
    await eventually(async () => (await asked()).length > 0);
    expect(await asked()).toMatchObject([{ status: 'pending', rank: 'A', plan_digest: created.plan_digest }]);
    expect((await verb(mission_id, 'approve', {}, key())).status).toBe(200);
    const mission = await operator.until(mission_id, isEnded);
    expect(mission).toMatchObject({ status: 'completed', decision: { outcome_of_approval: 'granted' } });
  });

  it.each([
    ['cancelled', false, 'cancel', 'cancelled'],
    ['granted and left held', true, 'approve', 'completed'],
  ])('of rank A that is %s while it is run answers the run as what it has become', async (_, hold, name, ended) => {
    const raced = Array.from({ length: 30 }, async (__, index) => {
      const { mission_id } = await create({ plan: three, rank: 'A', hold });
      const other = verb(mission_id, name, {}, key());
      // Half of the races begin at the same moment, the others at a later one of the other verb each.
      if (index > 9) await new Promise((wake) => setTimeout(wake, index - 9));
      const answers = await Promise.all([verb(mission_id, 'run', {}, key()), other]);
      const { status } = await operator.until(mission_id, isEnded);
      return { run: answers[0].status, ended: name === 'cancel' && answers[1].status === 200 ? status : ended };
    });
    for (const race of await Promise.all(raced)) expect(race).toEqual({ run: 200, ended });
  });

  it('of rank A that is held is started, or needs the operator key, when it is run while it is granted', async () => {
    const raced = Array.from({ length: 8 }, async () => {
      const { mission_id } = await create({ plan: three, rank: 'A', hold: true });
      const granted = verb(mission_id, 'approve', {}, key());
      const runs = Array.from({ length: 15 }, async (_, index) => {
        await new Promise((wake) => setTimeout(wake, index * 3));
        return (await verb(mission_id, 'run')).status;
      });
      await granted;
      return Promise.all(runs);
    });
    for (const statuses of await Promise.all(raced))
      expect(new Set([200, 403, ...statuses])).toEqual(new Set([200, 403]));
  });

  it.each([
    ['approve', 200],
    ['deny', 409],
  ])(
    'of rank A that was approved twice answers %s under the same key as before, also after its end',
    async (name, status) => {
      const { mission_id } = await create({ plan: three, rank: 'A', hold: true });
      const keyed = { ...key(), 'idempotency-key': `second-${name}` };
      expect((await verb(mission_id, 'approve', {}, key())).status).toBe(200);
      expect((await verb(mission_id, name, { reason: 'Once more.' }, keyed)).status).toBe(status);
      expect((await verb(mission_id, 'run')).status).toBe(200);
      await operator.until(mission_id, isEnded);
      expect((await verb(mission_id, name, { reason: 'Once more.' }, keyed)).status).toBe(status);
    },
  );

  it('of rank S needs a reason and rests before it starts', async () => {
    const { mission_id } = await create({ plan: three, rank: 'S' });
    const unreasoned = await verb(mission_id, 'approve', {}, key());
    expect([unreasoned.status, unreasoned.body.code]).toEqual([422, 'reason-required']);
    const approved = await verb(mission_id, 'approve', { reason: 'It is a drill.' }, key());
    expect(approved).toMatchObject({ status: 200, body: { status: 'awaiting_approval' } });
    const mission = await operator.until(mission_id, isEnded, 60);
    expect(mission.status).toBe('completed');
    const waited = Date.parse(mission.started_at ?? '') - Date.parse(mission.created_at);
    expect(waited).toBeGreaterThanOrEqual(10_000);
  });

  it('of rank S stays held when the run that would have started it was refused', async () => {
    const { mission_id } = await create({ plan: three, rank: 'S', hold: true });
    expect((await verb(mission_id, 'run', {}, key())).body.code).toBe('reason-required');
    expect(await operator.mission(mission_id)).toMatchObject({ status: 'awaiting_approval', hold: true });
  });

  it('never runs below the risk of its plan', async () => {
    const risky = { tasks: [{ ...echo('one'), risk_level: 'A' }] };
    const mission = await create({ plan: risky, rank: 'E' });
    expect(mission).toMatchObject({ rank: 'E', effective_rank: 'A', status: 'awaiting_approval' });
  });

  it('is cancelled when it is denied, with the reason on record', async () => {
    const { mission_id } = await create({ plan: three, rank: 'A' });
    expect((await verb(mission_id, 'deny')).status).toBe(422);
    const denied = await verb(mission_id, 'deny', { reason: 'Not today.' });
    expect(denied.body).toMatchObject({ status: 'cancelled', decision: { outcome: 'denied' } });
    const again = await verb(mission_id, 'approve', {}, key());
    expect(again).toMatchObject({ status: 409, body: { code: 'illegal-transition' } });
  });

  it('is held until it is run', async () => {
    const held = await create({ plan: three, hold: true });
    expect(held.status).toBe('accepted');
    expect((await verb(held.mission_id, 'run')).status).toBe(200);
    expect(await operator.until(held.mission_id, isEnded)).toMatchObject({ status: 'completed' });
    expect((await verb(held.mission_id, 'run')).body.status).toBe('completed');
  });

  it('is cancelled, and says what is possible when it is too late', async () => {
    const held = await create({ plan: three, hold: true });
    expect((await verb(held.mission_id, 'cancel', { reason: 'No need.' })).body.status).toBe('cancelled');
    const done = await create({ plan: three });
    await operator.until(done.mission_id, isEnded);
    const late = await verb(done.mission_id, 'cancel');
    expect(late).toMatchObject({ status: 409, body: { code: 'illegal-transition' } });
  });

  it('asks again for a task with a gate of its own', async () => {
    const gated = { tasks: [echo('one'), { ...echo('two', ['one']), requires_approval: true }] };
    const waiting = (mission: MissionDocument) => mission.tasks[1]?.status === 'awaiting_approval';
    const approveAtFirstSight = async () => {
      const { mission_id } = await create({ plan: gated });
      await operator.until(mission_id, waiting);
      expect((await verb(mission_id, 'approve', {}, key())).status).toBe(200);
      expect(await operator.until(mission_id, isEnded)).toMatchObject({ status: 'completed' });
    };
    await Promise.all(Array.from({ length: 20 }, approveAtFirstSight));
  });

  it('is created once per Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'once-only' };
    const body = { goal: 'Say it once', plan: three };
    const [first, second] = await Promise.all([
      operator.post<MissionDocument>('/v1/engine/missions', body, headers),
      operator.post<MissionDocument>('/v1/engine/missions', body, headers),
    ]);
    expect([first.status, second.status].filter((status) => status === 201).length).toBeGreaterThan(0);
    const third = await operator.post<MissionDocument>('/v1/engine/missions', body, headers);
    expect(third.status).toBe(201);
    const known = [first, second].filter(({ status }) => status === 201).map(({ body: made }) => made.mission_id);
    expect(new Set([...known, third.body.mission_id]).size).toBe(1);
    const other = await operator.post<Problem>('/v1/engine/missions', { ...body, goal: 'Say more' }, headers);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
  });

  it.each([
    ['approve', { reason: 'It is a drill.' }],
    ['deny', { reason: 'Not today.' }],
  ])('is moved once per Idempotency-Key by %s', async (name, body) => {
    const { mission_id } = await create({ plan: three, rank: 'A' });
    const keyed = { ...key(), 'idempotency-key': `${name}-once` };
    const first = await verb(mission_id, name, body, keyed);
    expect(first.status).toBe(200);
    await operator.until(mission_id, isEnded);
    const again = await verb(mission_id, name, body, keyed);
    expect([again.status, again.body.mission_id]).toEqual([200, mission_id]);
    const other = await verb(mission_id, name, { reason: 'Something else.' }, keyed);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
  });

  it.each([
    ['deep', { goal: 'Deep', params: { a: JSON.parse('['.repeat(61) + ']'.repeat(61)) as object } }, 'params'],
    ['large', { goal: 'Large', plan: tangled }, 'plan'],
  ])('is refused when what the log would keep is too %s', async (_, body, path) => {
    const answer = await operator.post<Problem>('/v1/engine/missions', { ...body, hold: true });
    expect([answer.status, answer.body.code]).toEqual([422, 'plan-too-large']);
    expect(answer.body.errors?.[0]?.path).toBe(path);
  });

  describe('whose inputs are too large for the log', () => {
    const secret = 'nobody-reads-this-in-a-store';
    const long = (letter: string) => letter.repeat(200_000);
    const measured = { $output: 'one', pointer: '/value' };
    const large = {
      params: { secret },
      plan: { tasks: [echo('one', [], long('ä')), echo('two', ['one'], { own: long('b'), measured })] },
    };
    const stored = async () => {
      const folders = await readdir(join(product.data_dir, 'minio'), { recursive: true, withFileTypes: true });
      return folders.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
    };
    const killed = async () => {
      const before = (await product.run()).pids['standalone'];
      if (before === undefined) throw new Error('there is no standalone process');
      process.kill(before, 'SIGKILL');
      await eventually(async () => {
        const { pids } = await product.run();
        if (pids['standalone'] === before) return false;
        return operator.get('/ready').then(
          ({ status }) => status === 200,
          () => false,
        );
      }, 60);
    };

    it('runs like any other, and its inputs lie open in no store', async () => {
      const made = await create({ ...large, hold: true });
      expect(made).toMatchObject({ params: { secret }, enclosure: { status: 'opened' } });
      expect(made.enclosure?.size).toBeGreaterThan(600_000);
      for (const file of await stored()) expect(await readFile(file, 'latin1')).not.toContain(secret);
      expect(JSON.stringify(await operator.get(`/v1/engine/missions/${made.mission_id}/events`)).length).toBeLessThan(
        50_000,
      );
      const newest = async () => (await operator.get<Page<MissionDocument>>('/v1/engine/missions?limit=1')).body;
      await eventually(async () => (await newest()).data[0]?.mission_id === made.mission_id);
      const body = await newest();
      expect(body.data).toMatchObject([{ mission_id: made.mission_id, enclosure: { status: 'left_out' } }]);
      expect(body.data[0]?.tasks[0]).not.toHaveProperty('input');

      expect((await verb(made.mission_id, 'run')).status).toBe(200);
      const mission = await operator.until(made.mission_id, isEnded);
      expect([mission.status, mission.error]).toEqual(['completed', undefined]);
      expect(mission.tasks.map(({ input }) => input)).toEqual(large.plan.tasks.map(({ input }) => input));
      expect(mission.tasks[1]?.output_ref?.size).toBeGreaterThan(600_000);
    });

    it('is created once per Idempotency-Key', async () => {
      const headers = { 'idempotency-key': 'once-large' };
      const body = { goal: 'Say it once', ...large };
      const first = await operator.post<MissionDocument>('/v1/engine/missions', body, headers);
      const again = await operator.post<MissionDocument>('/v1/engine/missions', body, headers);
      expect([first.status, again.status, again.body.mission_id]).toEqual([201, 201, first.body.mission_id]);
      const other = await operator.post<Problem>('/v1/engine/missions', { ...body, params: {} }, headers);
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
    });

    it('is bound by its approval, outlives a kill, and fails with the reason where its inputs are lost', async () => {
      const risky = await create({ ...large, rank: 'A' });
      const lost = await create({ ...large, hold: true });
      const asked = async () =>
        (await operator.get<Page<ApprovalDocument>>(`/v1/approvals?mission_id=${risky.mission_id}`)).body.data;
      await eventually(async () => (await asked()).length > 0);
      const [approval] = await asked();
      expect(approval).toMatchObject({ plan_digest: risky.plan_digest, derived_inputs: ['two'] });
      expect(approval?.summary).toMatch(
        /one: system\.echo \{"value":"ä{1000,}.*\(200012 characters\)\ntwo: system\.echo/,
      );

      const { sha256 = '' } = lost.enclosure ?? {};
      const blobs = (await stored()).filter((file) => file.includes(sha256));
      expect(blobs.length).toBeGreaterThan(0);
      for (const file of blobs) await rm(file);
      await killed();

      expect((await verb(risky.mission_id, 'approve', {}, key())).status).toBe(200);
      const mission = await operator.until(risky.mission_id, isEnded);
      expect([mission.status, mission.error]).toEqual(['completed', undefined]);
      expect(mission.plan_digest).toBe(risky.plan_digest);

      expect(await operator.mission(lost.mission_id)).toMatchObject({ enclosure: { status: 'lost' } });
      expect((await verb(lost.mission_id, 'run')).status).toBe(200);
      const failed = await operator.until(lost.mission_id, isEnded);
      expect(failed).toMatchObject({ status: 'failed', error: { code: 'input_unresolvable', task_id: 'one' } });
      expect(failed.error?.message).toContain('the vault no longer has the bytes');
    });
  });

  describe('that asks for something outside', () => {
    const fetches = (url: unknown, task_id = 'fetch', depends_on: string[] = []) => ({
      ...{ task_id, worker: 'http.fetch', input: { url }, depends_on },
    });

    it('gets it from a listed host, keeps it as an artifact, and is flagged for review', async () => {
      const { mission_id } = await create({ plan: { tasks: [fetches(`${listed}/page`)] }, rank: 'E' });
      const mission = await operator.until(mission_id, isEnded);
      expect([mission.status, mission.error, mission.effective_rank]).toEqual(['completed', undefined, 'C']);
      expect(mission.decision?.gate_outcome).toBe('execute_and_flag');
      expect(mission.tasks[0]?.output).toMatchObject({ status: 200, final_url: `${listed}/page` });
      const [artifact] = mission.result?.artifacts ?? [];
      const content = await operator.get<string>(`/v1/vault/artifacts/${artifact?.artifact_id ?? ''}/content`);
      expect(content.body).toBe('you asked for /page');
    });

    it('is refused when its plan names a host that is not listed', async () => {
      const plan = { tasks: [echo('one'), fetches('https://example.org/')] };
      const answer = await operator.post<Problem>('/v1/engine/missions', { goal: 'Look', plan });
      expect([answer.status, answer.body.code]).toEqual([422, 'egress-not-allowed']);
      expect(answer.body.errors).toEqual([
        {
          path: 'plan/tasks/1/input/url',
          message: 'https://example.org:443 is not on the list of hosts that may be reached',
        },
      ]);
    });

    it.each([
      [
        'an earlier output',
        { $output: 'one', pointer: '/value' },
        'http://127.0.0.1:1/',
        /^http:\/\/127.0.0.1:1 is not/,
      ],
      ['a redirect', undefined, '', /^redirected by .*: http:\/\/127.0.0.1:1 is not on the list/],
    ])('fails for good when %s leads elsewhere', async (_, derived, value, why) => {
      const url = derived ?? `${listed}/away`;
      const { mission_id } = await create({ plan: { tasks: [echo('one', [], value), fetches(url, 'two', ['one'])] } });
      const mission = await operator.until(mission_id, isEnded);
      expect(mission).toMatchObject({ status: 'failed', tasks: [{}, { tries: 1, error: { code: 'worker_failed' } }] });
      expect(mission.tasks[1]?.error?.message).toMatch(why);
    });
  });

  it('answers when it has ended where the caller prefers to wait', async () => {
    const body = { goal: 'Say it', plan: three };
    const waited = await operator.post<MissionDocument>('/v1/engine/missions', body, { prefer: 'wait=30' });
    expect([waited.status, waited.body.status]).toEqual([200, 'completed']);
  });

  it('counts towards evolution once it is verified, and less each time it is repeated', async () => {
    type Status = { stage: string; count: number; xp: number };
    const before = (await operator.get<Status>('/v1/nexusmon/organism/status')).body;
    const plan = { tasks: [echo('only', [], `novel ${before.count}`)] };
    for (let round = 0; round < 2; round++) {
      const { mission_id } = await create({ plan, category: 'library' });
      await operator.until(mission_id, isEnded);
    }
    let after = before;
    await eventually(async () => {
      after = (await operator.get<Status>('/v1/nexusmon/organism/status')).body;
      return after.count >= before.count + 1.5;
    });
    expect(after.count - before.count).toBeCloseTo(1.5);
    expect(after.xp - before.xp).toBeCloseTo(1.5);
    expect(after.stage).not.toBe('DORMANT');
  });

  it('gives its count and XP back when a reviewer finds it not fine', async () => {
    type Evolution = { count: number; xp: number; missions: { mission_id: string; reason: string; xp: number }[] };
    const evolutionAt = async (position: string | null) =>
      (await operator.get<Evolution>(`/v1/evolution?min_position=${position}`)).body;
    const plan = { tasks: [echo('only', [], `reviewed ${Date.now()}`)] };
    const created = await operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Say it', plan, rank: 'C' });
    const { mission_id } = created.body;
    await operator.until(mission_id, isEnded);
    const open = await operator.get<Page<ReviewDocument>>(
      `/v1/reviews?status=open&min_position=${created.headers.get('nexusmon-position')}`,
    );
    const review = open.body.data.find((one) => one.mission_id === mission_id);
    const path = `/v1/reviews/${review?.review_id}`;
    const unfounded = await operator.post<Problem>(path, { verdict: 'not_fine' });
    expect([unfounded.status, unfounded.body.code]).toEqual([422, 'reason-required']);

    let before = await evolutionAt(created.headers.get('nexusmon-position'));
    const isReckoned = ({ missions }: Evolution) => missions.some((one) => one.mission_id === mission_id);
    await eventually(async () => isReckoned((before = (await operator.get<Evolution>('/v1/evolution')).body)));
    const body = { verdict: 'not_fine', reason: 'It says what nobody asked for' };
    const given = await operator.post<ReviewDocument>(path, body);
    expect([given.status, given.body]).toMatchObject([200, { status: 'reviewed', ...body }]);
    const after = await evolutionAt(given.headers.get('nexusmon-position'));
    expect([before.count - after.count, before.xp - after.xp].map((one) => Math.round(one * 10) / 10)).toEqual([
      1, 9.6,
    ]);
    expect(after.missions.find((one) => one.mission_id === mission_id)).toMatchObject({
      reason: 'taken_back',
      xp: -4.8,
    });
    expect((await operator.post(path, body)).status).toBe(200);
    const other = await operator.post<Problem>(path, { verdict: 'fine' });
    expect([other.status, other.body.code]).toEqual([409, 'review-given']);
    const { body: rest } = await operator.get<Page<ReviewDocument>>(
      `/v1/reviews?status=open&limit=200&min_position=${given.headers.get('nexusmon-position')}`,
    );
    expect(rest.data.some((one) => one.mission_id === mission_id)).toBe(false);
  });

  it('is not needed for a capability that the operator opens, or closes, with a reason', async () => {
    type Standing = { capability: string; open: boolean; why: string };
    const rule = (verb: string, headers: Record<string, string>, reason?: string) =>
      operator.post<Standing & Problem>(`/v1/governance/capabilities/OPERATOR_FUSION/${verb}`, { reason }, headers);
    expect((await rule('grant', {}, 'now')).body.code).toBe('operator-key-required');
    expect((await rule('grant', key())).body.code).toBe('schema-violated');
    for (const [verb, open] of [
      ['grant', true],
      ['revoke', false],
    ] as const) {
      const ruled = await rule(verb, key(), 'We agreed on it');
      expect([ruled.status, ruled.body.open]).toEqual([200, open]);
      const position = ruled.headers.get('nexusmon-position');
      const { body } = await operator.get<Page<Standing>>(`/v1/governance/capabilities?min_position=${position}`);
      const shown = body.data.find(({ capability }) => capability === 'OPERATOR_FUSION');
      expect([shown?.open, shown?.why]).toEqual([open, expect.stringContaining('We agreed on it')]);
    }
  });

  it('changes the stage as an event that says what it was decided on', async () => {
    type Change = { from: string; to: string; count: number; mission_id: string };
    const history = async () => (await operator.get<Page<Change>>('/v1/evolution/history')).body.data;
    await eventually(async () => (await history()).length > 0);
    const first = (await history()).at(-1);
    expect(first).toMatchObject({ from: 'DORMANT', to: 'AWAKENING' });
    expect(first?.count).toBeGreaterThanOrEqual(1);
    const { body } = await operator.get<Page<{ mission_id: string; novelty: number }>>(
      '/v1/evolution/missions?limit=200',
    );
    expect(body.data.find(({ mission_id }) => mission_id === first?.mission_id)?.novelty).toBeGreaterThan(0);
    const { body: tree } = await operator.get<{ stages: { stage: string; reached: boolean }[] }>('/v1/evolution/tree');
    expect(tree.stages[1]).toMatchObject({ stage: 'AWAKENING', reached: true });
    for (const path of ['certificates/RECALL', 'patchpacks'])
      expect((await operator.get(`/v1/evolution/${path}`)).status).toBe(404);
  });

  describe('in the older spelling', () => {
    const older = async (name: string, body: object, headers = {}) =>
      (await product.anyone()).post<MissionDocument & Partial<Omit<Problem, 'status'>>>(
        `/v1/missions/${name}`,
        body,
        headers,
      );
    const held = { goal: 'Say it', plan: three, hold: true };
    const operator_key = () => ({ operator_key: operator.operator_key });

    it('is created, run, approved and listed, by the key in the body alone', async () => {
      const created = await older('create', { ...held, ...operator_key() });
      expect([created.status, created.body.status]).toEqual([201, 'accepted']);
      const { mission_id } = created.body;
      const run = await older('run', { mission_id, ...operator_key() });
      expect([run.status, run.body.mission_id]).toEqual([200, mission_id]);
      await operator.until(mission_id, isEnded);
      const waiting = await older('create', { goal: 'Say it', plan: three, rank: 'S', ...operator_key() });
      const unreasoned = await older('approve', { mission_id: waiting.body.mission_id, ...operator_key() });
      expect([unreasoned.status, unreasoned.body.code]).toEqual([422, 'reason-required']);
      const approval = { mission_id: waiting.body.mission_id, reason: 'I read it', ...operator_key() };
      const approved = await older('approve', approval);
      expect(approved.body).toMatchObject({ status: 'awaiting_approval' });
      const seen = approved.headers.get('nexusmon-position');
      const list = await operator.get<Page<MissionDocument>>(`/v1/missions/list?limit=2&min_position=${seen}`);
      expect(list.body.data.map((mission) => mission.mission_id)).toEqual([approval.mission_id, mission_id]);
    });

    it('is created with a session too, and refused with neither', async () => {
      expect((await operator.post('/v1/missions/create', held)).status).toBe(201);
      const nobody = await older('create', held);
      expect([nobody.status, nobody.body.code]).toEqual([401, 'credential-required']);
      for (const name of ['run', 'approve']) {
        const { mission_id } = await create({ plan: three, hold: true });
        expect((await older(name, { mission_id })).body.code).toBe('credential-required');
        // A session does not stand in for the key here.
        const { body } = await operator.post<Problem>(`/v1/missions/${name}`, { mission_id });
        expect([body.code, body.errors?.[0]?.path]).toEqual(['credential-required', 'operator_key']);
      }
    });

    it('takes the key in the body alone, whatever stands beside it but an API token', async () => {
      const ended = await product.operator();
      await ended.post('/v1/auth/logout');
      const issued = await operator.post<{ token: string; token_id: string }>('/v1/auth/tokens', {
        ...{ name: 'a spec', scopes: ['missions:write'] },
      });
      const { mission_id } = await create({ plan: three, hold: true });
      const bodies = { create: held, run: { mission_id }, approve: { mission_id } };
      const beside = async (headers: Record<string, string>) =>
        Promise.all(
          Object.entries(bodies).map(async ([name, body]) => {
            const answer = await older(name, { ...body, ...operator_key() }, headers);
            return answer.body.code ?? answer.status;
          }),
        );
      const by_key = [201, 200, 'illegal-transition'];
      expect(await beside({ authorization: 'Basic YTpi' })).toEqual(by_key);
      for (const header of [{ authorization: `Bearer ${ended.token}` }, { cookie: `nexusmon_session=${ended.token}` }])
        expect((await beside(header))[0]).toBe(201);
      const token = { authorization: `Bearer ${issued.body.token}` };
      expect(await beside(token)).toEqual(Array(3).fill('session-required'));
      expect((await operator.call('DELETE', `/v1/auth/tokens/${issued.body.token_id}`)).status).toBe(200);
      expect(await beside(token)).toEqual(Array(3).fill('session-required'));
    });

    it('says what has taken its place, and that it is the same', async () => {
      const keyed = { 'idempotency-key': `either spelling ${Date.now()}`.replaceAll(' ', '-') };
      const first = await older('create', { ...held, ...operator_key() }, keyed);
      expect(first.headers.get('deprecation')).toMatch(/^@\d+$/);
      expect(first.headers.get('link')).toBe('</v1/engine/missions>; rel="successor-version"');
      const again = await operator.post<MissionDocument>('/v1/engine/missions', held, keyed);
      expect([again.status, again.body.mission_id]).toEqual([201, first.body.mission_id]);
    });

    it('takes no field that the newer one does not take', async () => {
      for (const [name, body] of [
        ['create', held],
        ['run', { mission_id: 'msn_01890000-0000-7000-8000-000000000000' }],
      ] as const) {
        const answer = await older(name, { ...body, ...operator_key(), shape: true });
        expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, 'shape']);
      }
    });
  });

  it('with more in its outputs than one answer holds is shown and listed, and its tasks have them all', async () => {
    const text = echo('text', [], 'x'.repeat(60 * 1024));
    const copies = Array.from({ length: 75 }, (_, index) =>
      echo(`copy-${index}`, ['text'], { $output: 'text', pointer: '/value' }),
    );
    const { status, body } = await operator.post<MissionDocument>(
      '/v1/engine/missions',
      { goal: 'Say it', plan: { tasks: [text, ...copies] } },
      { prefer: 'wait=100' },
    );
    expect([status, body.status]).toEqual([200, 'completed']);
    // What the result repeats is left out before anything else is.
    expect(body.result).not.toHaveProperty('output');
    expect(body.result?.output_bytes).toBeGreaterThan(75 * 60 * 1024);
    const listed = await operator.get<Page<MissionDocument>>('/v1/engine/missions?limit=1');
    expect(listed.body.data).toEqual([body]);
    expect((await operator.get('/v1/ui/state')).status).toBe(200);
    const at = `/v1/engine/missions/${body.mission_id}/tasks`;
    const first = await operator.get<Page<MissionDocument['tasks'][number]>>(at);
    const second = await operator.get<typeof first.body>(`${at}?cursor=${first.body.next_cursor}`);
    expect([first.body.data.length, second.body.next_cursor]).toEqual([50, null]);
    expect([...first.body.data, ...second.body.data]).toEqual(body.tasks);
    expect((await operator.get<Problem>(`${at}?cursor=nonsense`)).body.code).toBe('malformed-cursor');
  });

  describe('is looked into', () => {
    const at = (mission_id: string, what: string) => operator.get<never>(`/v1/engine/missions/${mission_id}/${what}`);

    it('by its plan, with every default settled', async () => {
      const { mission_id, plan_digest } = await create({ plan: three });
      const { body } = (await at(mission_id, 'plan')) as { body: Page<{ plan_digest: string; tasks: object[] }> };
      expect(body.data).toMatchObject([{ version: 1, plan_digest, plan_source: 'request' }]);
      expect(body.data[0]?.tasks[1]).toMatchObject({
        ...{ task_id: 'two', retry: { max_attempts: 3, backoff_seconds: 1 }, input: { value: { $output: 'one' } } },
      });
    });

    it('by the decision of the gate, its inputs, and what people said of it', async () => {
      const { mission_id } = await create({ plan: three, rank: 'A' });
      await verb(mission_id, 'approve', { reason: 'I read it' }, key());
      expect((await at(mission_id, 'explain')).body).toMatchObject({
        inputs: { rank_asked: 'A', effective_rank: 'A', workers: [{ name: 'system.echo', risk_level: 'E' }] },
        decision: { outcome: 'needs_approval', decisive_rule: 'rank', policy_version: 1 },
        approvals: [{ mission_id, status: 'granted', reason: 'I read it' }],
        summary: expect.stringContaining('granted its approval') as unknown,
      });
    });

    it('before it is there', async () => {
      const held = () =>
        operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Wait', plan: three, hold: true });
      const before = await held();
      const preview = (body: object) => operator.post<Problem>('/v1/engine/missions/preview', body);
      expect((await preview({ goal: 'Say it', plan: three, rank: 'S' })).body).toMatchObject({
        plan: { effective_rank: 'S', plan_source: 'request' },
        decision: { outcome: 'needs_approval', decisive_rule: 'rank' },
      });
      const cyclic = await preview({ goal: 'Round', plan: { tasks: [echo('one', ['one'])] } });
      expect([cyclic.status, cyclic.body.code]).toEqual([422, 'plan-invalid']);
      const after = await held();
      const { body } = await operator.get<Page<MissionDocument>>(
        `/v1/engine/missions?limit=2&min_position=${after.headers.get('nexusmon-position')}`,
      );
      expect(body.data.map(({ mission_id }) => mission_id)).toEqual([after.body.mission_id, before.body.mission_id]);
    });

    it('by what it gave up on', async () => {
      const path = { $output: 'one', pointer: '/value' };
      const survey = { task_id: 'two', worker: 'repository.survey', input: { path }, depends_on: ['one'] };
      const tasks = [echo('one', [], '/no/such/folder'), { ...survey, retry: { max_attempts: 1 } }];
      const { mission_id } = await create({ plan: { tasks } });
      const mission = await operator.until(mission_id, isEnded);
      expect(mission.status).toBe('failed');
      type Letter = { mission_id: string; task_id: string; worker: string; mission_status: string };
      const letters = async () =>
        (await operator.get<Page<Letter>>(`/v1/dead-letters?mission_id=${mission_id}`)).body.data;
      await eventually(async () => (await letters()).length > 0);
      expect(await letters()).toMatchObject([
        { mission_id, task_id: 'two', worker: 'repository.survey', tries: 1, mission_status: 'failed' },
      ]);
    });

    it('beside all else that a first screen needs', async () => {
      const { mission_id } = await create({ plan: three, rank: 'A' });
      type State = {
        missions: { mission_id: string; tasks: object }[];
        approvals: { mission_id: string }[];
        organism: { queues: Record<string, number> };
        position: string;
      };
      let state: State | undefined;
      await eventually(async () => {
        state = (await operator.get<State>('/v1/ui/state')).body;
        return state.approvals.some((approval) => approval.mission_id === mission_id);
      });
      expect(state?.missions[0]).toMatchObject({ mission_id, tasks: { total: 3, completed: 0, running: 0 } });
      expect(state?.organism.queues).toMatchObject({ runners: expect.any(Number), free_slots: expect.any(Number) });
      expect(state?.organism.queues['awaiting_approval']).toBeGreaterThan(0);
      const { status } = await operator.get(`/v1/engine/missions?min_position=${state?.position}`);
      expect(status).toBe(200);
    });
  });

  describe('is derived again from the log', () => {
    type Projection = Readonly<{
      name: string;
      halted?: string;
      rebuild?: Readonly<{
        rebuild_id: string;
        status: string;
        swapped: boolean;
        reason?: string;
        live_digest?: string;
      }>;
    }>;
    const PROJECTIONS = '/v1/system/projections';
    const read = async (name: string) => (await operator.get<Projection>(`${PROJECTIONS}/${name}`)).body;
    const rebuilt = async (name: string, body: object = {}) => {
      expect((await operator.post(`${PROJECTIONS}/${name}/rebuild`, body)).status).toBe(202);
      await eventually(async () => (await read(name)).rebuild?.status !== 'running');
      return read(name);
    };

    it('the same, for every projection of every context, while missions run and one that was held rests', async () => {
      const { mission_id } = await create({ plan: three, rank: 'S', hold: true });
      const run = await verb(mission_id, 'run', { reason: 'It is a drill.' }, key());
      expect(run.body.status).toBe('awaiting_approval');
      let going = true;
      const running = (async () => {
        while (going) await operator.until((await create({ plan: three })).mission_id, isEnded);
      })();
      const { body } = await operator.get<Page<Projection>>(PROJECTIONS);
      const contexts = new Set(body.data.map(({ name }) => name.split('.')[0]));
      expect([...contexts].sort()).toEqual(['access', 'evolution', 'governance', 'mission', 'vault']);
      const found = [];
      for (const { name } of body.data) found.push(await rebuilt(name));
      going = false;
      await running;
      for (const { name, halted, rebuild } of found)
        expect({ name, halted, rebuild }).toMatchObject({
          ...{ name, halted: undefined },
          rebuild: { status: 'equal', swapped: true, live_digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
        });
      expect(await operator.until(mission_id, isEnded)).toMatchObject({ status: 'completed', hold: false });
      const seen = await create({ plan: three });
      await operator.until(seen.mission_id, isEnded);
      await eventually(async () => {
        const list = await operator.get<Page<MissionDocument>>('/v1/engine/missions?limit=1');
        return list.body.data[0]?.mission_id === seen.mission_id;
      });
    }, 120_000);

    it('once for one Idempotency-Key, however much has been rebuilt since', async () => {
      const path = `${PROJECTIONS}/governance.review/rebuild`;
      const headers = { 'idempotency-key': 'rebuild-once' };
      const ask = (body: object) => operator.post<Projection & Problem>(path, body, headers);
      const first = await ask({ check: true });
      await eventually(async () => (await read('governance.review')).rebuild?.status !== 'running');
      const later = await rebuilt('governance.review');
      const again = await ask({ check: true });
      expect([first.status, again.status]).toEqual([202, 202]);
      expect(again.body.rebuild?.rebuild_id).toBe(first.body.rebuild?.rebuild_id);
      expect(again.body.rebuild).toMatchObject({ status: 'equal', swapped: false });
      expect((await read('governance.review')).rebuild?.rebuild_id).toBe(later.rebuild?.rebuild_id);
      const other = await ask({ check: false });
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
    });

    it('on request for a check alone, and not for what there is not', async () => {
      expect((await rebuilt('governance.review', { check: true })).rebuild).toMatchObject({ swapped: false });
      for (const name of ['mission.nothing', 'worker.mission', 'nonsense']) {
        const { status, body } = await operator.post<Problem>(`${PROJECTIONS}/${name}/rebuild`);
        expect([status, body.code]).toEqual([404, 'projection-not-found']);
        expect((await operator.get(`${PROJECTIONS}/${name}`)).status).toBe(404);
      }
    });
  });
});
