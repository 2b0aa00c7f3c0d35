// Reads the log and the views with nothing of the product's own code, so that they can be held against each other.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import type { Run } from './product.js';

type Event = {
  type: string;
  subject: string;
  correlationid: string;
  traceparent?: string;
  data: Record<string, unknown>;
};
export type MissionFold = { tag: string; status: string; completions: number; results: Record<string, number> };

const ENDS: Record<string, string> = {
  'nexusmon.mission.MissionCompleted.v1': 'completed',
  'nexusmon.mission.MissionFailed.v1': 'failed',
  'nexusmon.mission.MissionCancelled.v1': 'cancelled',
};

const adminOf = async (data_dir: string) =>
  JSON.parse(await readFile(join(data_dir, 'secrets/admin.json'), 'utf8')) as Record<string, string>;

/** The bytes of every message in the log, in order. */
export async function* messagesOf(data_dir: string, run: Run): AsyncGenerator<string> {
  const { nats_user = '', nats_password = '' } = await adminOf(data_dir);
  const servers = new URL(run.nats_url).host;
  const connection = await connect({
    servers,
    user: nats_user,
    pass: nats_password,
    inboxPrefix: `_INBOX_${nats_user}`,
  });
  try {
    const manager = await jetstreamManager(connection);
    for await (const { config } of manager.streams.list()) {
      const { state } = await manager.streams.info(config.name);
      if (state.messages === 0) continue;
      const consumer = await jetstream(connection).consumers.get(config.name, { deliver_policy: DeliverPolicy.All });
      for await (const message of await consumer.consume()) {
        yield message.string();
        if (message.seq >= state.last_seq) break;
      }
    }
  } finally {
    await connection.close();
  }
}

/** Line 1 of every commit in the log, in order. */
export async function* commitsOf(data_dir: string, run: Run): AsyncGenerator<Event[]> {
  for await (const message of messagesOf(data_dir, run)) {
    const [line = ''] = message.split('\n');
    yield JSON.parse(line) as Event[];
  }
}

/** What every mission came to, by its id. */
export const foldOfMissions = async (data_dir: string, run: Run): Promise<Map<string, MissionFold>> => {
  const missions = new Map<string, MissionFold>();
  for await (const events of commitsOf(data_dir, run))
    for (const { type, subject, data } of events) {
      if (type.startsWith('nexusmon.mission.MissionCreated.')) {
        if (missions.has(subject)) throw new Error(`${subject} was created twice`);
        missions.set(subject, { tag: String((data['tags'] as string[])[0]), status: '', completions: 0, results: {} });
      }
      const mission = missions.get(subject);
      if (!mission) continue;
      if (type === 'nexusmon.mission.TaskCompleted.v1') {
        const task_id = String(data['task_id']);
        mission.results[task_id] = (mission.results[task_id] ?? 0) + 1;
      }
      const ended = ENDS[type];
      if (ended === undefined) continue;
      mission.status = ended;
      if (ended === 'completed') mission.completions += 1;
    }
  return missions;
};

/** The same, as far as the view knows it; waits until the view has as many rows in an end state as the fold. */
export const viewOfMissions = async (data_dir: string, run: Run, fold: ReadonlyMap<string, MissionFold>) => {
  const { database_user = '', database_password = '' } = await adminOf(data_dir);
  const url = new URL(run.database_url);
  url.username = database_user;
  url.password = database_password;
  const client = new pg.Client({ connectionString: url.toString() });
  await client.connect();
  try {
    for (let tries = 0; ; tries++) {
      const { rows } = await client.query<{ mission_id: string; status: string; tag: string; tasks: string[] }>(
        `select mission_id, status, state->'request'->'tags'->>0 as tag,
           array(select task->'plan'->>'task_id' from json_array_elements(state->'tasks') task
                 where task->'progress'->>'status' = 'completed') as tasks
         from mission.mission_view`,
      );
      const behind =
        rows.length < fold.size || rows.some(({ mission_id, status }) => fold.get(mission_id)?.status !== status);
      if (behind && tries < 200) {
        await new Promise((wake) => setTimeout(wake, 100));
        continue;
      }
      return new Map(
        rows.map(({ mission_id, status, tag, tasks }) => [
          mission_id,
          {
            tag,
            status,
            completions: status === 'completed' ? 1 : 0,
            results: Object.fromEntries(tasks.map((task_id) => [task_id, 1])),
          },
        ]),
      );
    }
  } finally {
    await client.end();
  }
};

type StageFold = Readonly<{ expected: readonly string[]; recorded: readonly string[] }>;
const STAGES = [
  ['APEX', 200],
  ['SOVEREIGN', 50],
  ['FORGING', 10],
  ['AWAKENING', 1],
  ['DORMANT', 0],
] as const;

/** The changes of the stage: as completions in the log ask for them, each at its count, and as they are recorded. */
export const foldOfStages = async (data_dir: string, run: Run): Promise<StageFold> => {
  const times = new Map<unknown, number>();
  const [expected, recorded]: [string[], string[]] = [[], []];
  let [count, stage] = [0, 'DORMANT'];
  for await (const events of commitsOf(data_dir, run))
    for (const { type, data } of events) {
      if (type === 'nexusmon.evolution.StageChanged.v1')
        recorded.push(`${String(data['from'])} ${String(data['to'])} ${String(data['count'])}`);
      if (type !== 'nexusmon.mission.MissionCompleted.v1' || data['verified'] !== true) continue;
      const before = times.get(data['fingerprint']) ?? 0;
      times.set(data['fingerprint'], before + 1);
      count += 2 ** -before;
      const reached = STAGES.find(([, mark]) => count >= mark)?.[0] ?? 'DORMANT';
      if (reached !== stage) expected.push(`${stage} ${reached} ${count}`);
      stage = reached;
    }
  return { expected, recorded };
};
