// The choke point: every way in which a task could start, taken from the code's own registries, tried at A and S
// without a grant. A command or route that is not in the tables below fails the test: whoever adds one says here how it
// could start something, and sees that it does not.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import '@nexusmon/evolution-service';
import '@nexusmon/governance-service';
import '@nexusmon/mission-service';
import '@nexusmon/vault-service';
import { canonical, keyedId, newId } from '@nexusmon/event-log';
import { registeredSubjects } from '@nexusmon/messaging';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { eventually, Product, type Client } from './support/product.js';

const plan = { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] };
const DIGEST = 'a'.repeat(64);
const gateway = () => ({ actor: 'operator:owner', command_id: newId('cmd') });
const service = () => ({ actor: 'service:mission', command_id: newId('cmd') });
const reviewOf = ({ mission_id }: MissionDocument) => `rev_${mission_id.slice('msn_'.length)}`;
const approvalOf = ({ mission_id, plan_digest }: MissionDocument) => keyedId('apr', mission_id, plan_digest);
const named = ({ mission_id }: MissionDocument) => ({ mission_id, task_id: 'one', attempt: 1 });

/** Built again, a view shows a mission as it is. */
const rebuilding = (name: string) => [{ name, check: false, rebuild_id: newId('rbd') }];

/** What each command would have to be sent to start the task of `mission`, by the users that may send it. */
const COMMANDS: Record<string, (mission: MissionDocument) => object[]> = {
  'cmd.mission.create': ({ mission_id, rank, goal }) => [
    { asked: gateway(), mission_id, wait_ms: 0, body: { goal, plan, rank } },
    { asked: gateway(), mission_id, wait_ms: 0, body: { goal, plan, rank: 'E' } },
  ],
  'cmd.mission.run': ({ mission_id }) => [{ asked: gateway(), mission_id, sovereign: false, reason: 'now' }],
  'cmd.mission.approve': ({ mission_id }) => [
    { asked: gateway(), mission_id, sovereign: false, reason: 'now' },
    { asked: service(), mission_id, sovereign: true, reason: 'now' },
  ],
  'cmd.mission.deny': ({ mission_id }) => [{ asked: gateway(), mission_id, sovereign: false, reason: 'no' }],
  'cmd.mission.cancel': ({ mission_id }) => [{ asked: gateway(), mission_id, sovereign: false }],
  'cmd.mission.poll': () => [{ runner_id: 'thief', workers: ['system.echo'], slots: 8, running: [], wait_ms: 300 }],
  'cmd.mission.report': (mission) => [
    {
      runner_id: 'thief',
      workers: ['system.echo'],
      ...named(mission),
      result: { outcome: 'completed', output: { value: 1 }, artifacts: [], duration_ms: 1 },
    },
  ],
  'cmd.governance.request_approval': (mission) => [
    {
      asked: service(),
      approval_id: approvalOf(mission),
      mission_id: mission.mission_id,
      plan_digest: mission.plan_digest,
      rank: 'E',
      requested_by: 'operator:owner',
      reasons: [],
      summary: 'harmless',
      derived_inputs: [],
      key_id: newId('key'),
    },
  ],
  'cmd.governance.grant': (mission) => [
    { asked: gateway(), approval_id: approvalOf(mission), shape: true, sovereign: false, reason: 'now' },
    { asked: service(), approval_id: approvalOf(mission), shape: true, sovereign: true, reason: 'now' },
  ],
  'cmd.governance.deny': (mission) => [{ asked: gateway(), approval_id: approvalOf(mission), reason: 'no' }],
  'cmd.governance.withdraw': (mission) => [{ asked: gateway(), approval_id: approvalOf(mission) }],
  'cmd.governance.review': (mission) => [{ asked: gateway(), review_id: reviewOf(mission), verdict: 'fine' }],
  'cmd.evolution.grant': () => [
    { asked: gateway(), capability: 'AUTONOMOUS_CHAIN', reason: 'now', sovereign: true, key_id: newId('key') },
  ],
  'cmd.evolution.revoke': () => [
    { asked: gateway(), capability: 'AUTONOMOUS_CHAIN', reason: 'now', sovereign: true, key_id: newId('key') },
  ],
  'cmd.vault.begin_upload': () => [{ sha256: DIGEST, size: 1 }],
  'cmd.vault.delete': () => [{ asked: gateway(), artifact_id: newId('art'), reason: 'now', key_id: newId('key') }],
  'cmd.vault.check': () => [{ asked: gateway(), artifact_id: newId('art') }],
  'cmd.vault.record': (mission) => [
    {
      asked: service(),
      name: `${mission.mission_id}/one/file`,
      sha256: DIGEST,
      size: 1,
      media_type: 'text/plain',
      kind: 'output',
      ...named(mission),
      worker: 'system.echo',
      inputs: [],
    },
  ],
  'cmd.vault.stage': () => [{ inputs: [] }],
  'cmd.vault.stage_part': () => [{ upload_id: newId('upl'), store_id: 'none', part: 1 }],
  'cmd.vault.unstage': () => [{ upload_id: newId('upl'), store_id: 'none' }],
  'cmd.vault.upload': ({ mission_id }) => [
    {
      ...{ asked: gateway(), name: `about/${mission_id}/one/file`, sha256: DIGEST, size: 1 },
      ...{ media_type: 'text/plain', inputs: [] },
    },
  ],
  'cmd.evolution.rebuild': () => rebuilding('evolution.progress'),
  'cmd.governance.rebuild': () => rebuilding('governance.approval'),
  'cmd.mission.rebuild': () => rebuilding('mission.mission'),
  'cmd.vault.rebuild': () => rebuilding('vault.artifact'),
};

type Try = Readonly<{ method?: string; path: string; body: object }>;
/** Every route that changes something, with what it would be sent to start the task; without the operator key. */
const ROUTES: Record<string, (mission: MissionDocument) => Try[]> = {
  'POST /v1/auth/login': () => [{ path: '/v1/auth/login', body: { operator_key: 'not the operator key' } }],
  // Ending a session starts nothing, and would end the one that this test uses.
  'POST /v1/auth/logout': () => [],
  'DELETE /v1/auth/sessions/{session_id}': () => [],
  'POST /v1/auth/tokens': () => [
    { path: '/v1/auth/tokens', body: { name: 'to start it', scopes: ['missions:write'], rank_ceiling: 'S' } },
  ],
  'DELETE /v1/auth/tokens/{token_id}': () => [],
  'POST /v1/engine/missions': ({ rank }) => [
    { path: '/v1/engine/missions', body: { goal: 'Say it', plan, rank, hold: false } },
    { path: '/v1/engine/missions', body: { goal: 'Say it', plan, rank, hold: true } },
  ],
  'POST /v1/engine/missions/preview': ({ rank }) => [
    { path: '/v1/engine/missions/preview', body: { goal: 'Say it', plan, rank } },
  ],
  'POST /v1/missions/create': ({ rank }) => [
    { path: '/v1/missions/create', body: { goal: 'Say it', plan, rank } },
    { path: '/v1/missions/create', body: { goal: 'Say it', plan, rank: 'E' } },
  ],
  // A wrong key would lock this test out: that it is none is seen before it is compared.
  'POST /v1/missions/run': ({ mission_id }) => [{ path: '/v1/missions/run', body: { mission_id, reason: 'now' } }],
  'POST /v1/missions/approve': ({ mission_id }) => [
    { path: '/v1/missions/approve', body: { mission_id, reason: 'now' } },
  ],
  'POST /v1/engine/missions/{mission_id}/approve': (mission) => [verb(mission, 'approve')],
  'POST /v1/engine/missions/{mission_id}/deny': (mission) => [verb(mission, 'deny')],
  'POST /v1/engine/missions/{mission_id}/run': (mission) => [verb(mission, 'run')],
  'POST /v1/engine/missions/{mission_id}/cancel': (mission) => [verb(mission, 'cancel')],
  'POST /v1/approvals/{approval_id}/grant': (mission) => [ruling(mission, 'grant')],
  'POST /v1/approvals/{approval_id}/deny': (mission) => [ruling(mission, 'deny')],
  'POST /v1/approvals/{approval_id}/withdraw': (mission) => [ruling(mission, 'withdraw')],
  'DELETE /v1/vault/artifacts/{artifact_id}': () => [
    { method: 'DELETE', path: `/v1/vault/artifacts/${newId('art')}`, body: { reason: 'now' } },
  ],
  'POST /v1/vault/artifacts': ({ mission_id }) => [
    { path: '/v1/vault/artifacts', body: { name: `${mission_id}/one/file`, file: 'now' } },
  ],
  'POST /v1/vault/artifacts/{artifact_id}/check': () => [
    { path: `/v1/vault/artifacts/${newId('art')}/check`, body: {} },
  ],
  'POST /v1/system/projections/{projection}/rebuild': () => [
    { path: '/v1/system/projections/mission.mission/rebuild', body: {} },
  ],
  'POST /v1/reviews/{review_id}': (mission) => [
    { path: `/v1/reviews/${reviewOf(mission)}`, body: { verdict: 'fine' } },
  ],
  'POST /v1/governance/capabilities/{capability}/grant': () => [capabilityRuling('grant')],
  'POST /v1/governance/capabilities/{capability}/revoke': () => [capabilityRuling('revoke')],
};
const verb = ({ mission_id }: MissionDocument, name: string) => ({
  path: `/v1/engine/missions/${mission_id}/${name}`,
  body: { reason: 'now' },
});
const capabilityRuling = (name: string) => ({
  path: `/v1/governance/capabilities/AUTONOMOUS_CHAIN/${name}`,
  body: { reason: 'now' },
});
const ruling = (mission: MissionDocument, name: string) => ({
  path: `/v1/approvals/${approvalOf(mission)}/${name}`,
  body: { reason: 'now' },
});

describe('without a grant', () => {
  let product: Product;
  let operator: Client;
  let connections: NatsConnection[] = [];

  beforeAll(async () => {
    product = await Product.start();
    operator = await product.operator();
    const { nats_url } = await product.run();
    const servers = new URL(nats_url).host;
    connections = await Promise.all(
      ['gateway', 'mission', 'governance', 'worker'].map((context) => {
        const file = join(product.data_dir, 'secrets', `${context}.json`);
        const { nats_user: user, nats_password: pass } = JSON.parse(readFileSync(file, 'utf8')) as Record<
          string,
          string
        >;
        return connect({ servers, user: user ?? '', pass: pass ?? '', inboxPrefix: `_INBOX_${user}` });
      }),
    );
  }, 300_000);
  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await product.remove();
  }, 60_000);

  const waiting = async (rank: string): Promise<MissionDocument> => {
    const { status, body } = await operator.post<MissionDocument>('/v1/engine/missions', {
      goal: 'Say it',
      plan,
      rank,
    });
    expect([status, body.status]).toEqual([201, 'awaiting_approval']);
    return body;
  };
  const expectUnstarted = async ({ mission_id }: MissionDocument) => {
    const { tasks, status } = await operator.mission(mission_id);
    expect(tasks.map(({ attempt }) => attempt)).toEqual([0]);
    expect(['awaiting_approval', 'cancelled']).toContain(status);
  };
  /** Every user that the server lets publish there; a user that it does not let gets no answer. */
  const send = (subject: string, payload: object) =>
    Promise.allSettled(
      connections.map((connection) => connection.request(subject, JSON.stringify(payload), { timeout: 1_500 })),
    );

  it('knows every command and every route that the product has', async () => {
    const commands = registeredSubjects().filter(({ kind }) => kind === 'cmd');
    expect(commands.map(({ subject }) => subject).sort()).toEqual(Object.keys(COMMANDS).sort());
    const { body } = await operator.get<{ paths: Record<string, object> }>('/openapi.json');
    const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.filter((route) => !route.startsWith('GET ')).sort()).toEqual(Object.keys(ROUTES).sort());
  });

  const ranked = (names: readonly string[]) => ['A', 'S'].flatMap((rank) => names.map((name) => [rank, name] as const));

  it.each(ranked(Object.keys(COMMANDS)))('nothing of rank %s starts by %s, whoever sends it', async (rank, subject) => {
    const mission = await waiting(rank);
    for (const payload of COMMANDS[subject]?.(mission) ?? []) {
      const schema = registeredSubjects().find((registered) => registered.subject === subject)?.schema;
      expect(schema?.safeParse(payload).error).toBeUndefined();
      await send(subject, payload);
    }
    await expectUnstarted(mission);
  });

  it('no answer goes where only events may go, whatever a request names', async () => {
    const poll = { runner_id: 'thief', workers: [], slots: 0, running: [], wait_ms: 10 };
    for (const connection of connections) {
      const reply = 'evt.00.governance.approval.apr_none';
      connection.publish('cmd.mission.poll', JSON.stringify(poll), { reply });
      await connection.flush();
    }
    await new Promise((wake) => setTimeout(wake, 500));
    const { body } = await operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Say it', plan });
    await operator.until(body.mission_id, ({ status }) => status === 'completed');
    type Page = { data: { mission_id: string; status: string }[] };
    const seen = async () => {
      const { data } = (await operator.get<Page>('/v1/engine/missions?limit=1')).body;
      return data[0]?.mission_id === body.mission_id && data[0].status === 'completed';
    };
    await eventually(seen);
  });

  describe('governance gives the mission service no permit', () => {
    const manifest = { worker_version: '1.0.0', worker_digest: DIGEST };
    type Signed = { claims: object; signature: string };
    const shown = (signed?: Signed) => signed && { text: canonical(signed.claims), signature: signed.signature };
    const ask = async (mission: MissionDocument, changed: object, verdict?: Signed) => {
      const { mission_id, plan_digest } = mission;
      type Events = { data: { type: string; data: { verdict: Signed } }[] };
      const { body } = await operator.get<Events>(`/v1/engine/missions/${mission_id}/events`);
      const gated = body.data.find(({ type }) => type.includes('.MissionGated.'));
      const request = {
        effect: {
          ...named(mission),
          worker: 'system.echo',
          ...manifest,
          input_digest: DIGEST,
          limits: { timeout_seconds: 30, output_bytes_max: 1024 },
          egress: [],
          rank: 'E',
          ...changed,
        },
        verdict: shown(verdict ?? gated?.data.verdict),
        plan_digest,
        task_gate: false,
        derived_input: false,
      };
      const message = JSON.stringify({ requests: [request] });
      const reply = await connections[1]?.request('qry.governance.authorize', message, { timeout: 5_000 });
      return reply?.json<{ body: { answers: { kind: string; code?: string }[] } }>().body.answers[0];
    };

    it.each(['A', 'S'])('that understates rank %s', async (rank) => {
      const mission = await waiting(rank);
      expect(await ask(mission, { rank: 'E' })).toMatchObject({ kind: 'refused', code: 'rank-understated' });
      expect(await ask(mission, { rank })).toMatchObject({ kind: 'refused', code: 'approval-missing' });
    });

    it('on a verdict of its own, or on that of another mission', async () => {
      const [mission, other] = [await waiting('A'), await waiting('A')];
      const claims = { ...mission.decision, effective_rank: 'E' };
      const { approval_id: _, gate_outcome: __, ...forged } = claims as Record<string, unknown>;
      const own = { claims: forged, signature: 'A'.repeat(86) };
      expect(await ask(mission, {}, own)).toMatchObject({ kind: 'refused', code: 'verdict-forged' });
      expect(await ask(mission, { mission_id: other.mission_id })).toMatchObject({ code: 'verdict-mismatch' });
    });

    it('on a permit of its own in the place of a verdict', async () => {
      const { body: mission } = await operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Say it', plan });
      await operator.until(mission.mission_id, ({ status }) => status === 'completed');
      type Events = { data: { type: string; data: { permit: Signed } }[] };
      const { body } = await operator.get<Events>(`/v1/engine/missions/${mission.mission_id}/events`);
      const claimed = body.data.find(({ type }) => type.includes('.TaskClaimed.'));
      expect(claimed?.data.permit.signature).toBeDefined();
      expect(await ask(mission, {}, claimed?.data.permit)).toMatchObject({ code: 'verdict-forged' });
      expect(await ask(mission, {})).toMatchObject({ kind: 'permitted' });
    });
  });

  it.each(ranked(Object.keys(ROUTES)))(
    'nothing of rank %s starts by %s, without the operator key',
    async (rank, route) => {
      const mission = await waiting(rank);
      for (const { method = 'POST', path, body } of ROUTES[route]?.(mission) ?? []) {
        const { status } = await operator.call(method, path, body);
        expect(status).toBeLessThan(500);
      }
      await expectUnstarted(mission);
    },
  );
});
