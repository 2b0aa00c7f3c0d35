import type { CreateMission, Mission, Plan } from '@nexusmon/client';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import { eventName, followMission } from './follow.js';
import { readInput } from './input.js';
import {
  eventText,
  exitOfMission,
  isEnded,
  missionHead,
  missionRows,
  missionText,
  outcomeText,
} from './mission-text.js';
import { listPages, type PageQuery } from './pages.js';
import type { CreateOptions, ListOptions, Verb, VerbOptions } from './program.js';
import type { Session } from './session.js';

const MILLISECONDS = 1_000;
/** After these a mission may wait for a person. */
const GATES = ['MissionGated', 'TaskGated', 'ApprovalRequested'];

export const keyed = ({ idempotencyKey }: Readonly<{ idempotencyKey?: string }>) =>
  idempotencyKey === undefined ? {} : { headers: { 'Idempotency-Key': idempotencyKey } };

/** A list of tasks is a plan, too. */
const planOf = (text: string, source: string): Plan => {
  try {
    const value = JSON.parse(text) as unknown;
    return (Array.isArray(value) ? { tasks: value as unknown } : value) as Plan;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const what = `the plan in ${source} is not JSON`;
    throw new CliFault({ code: 'usage', what, why: error.message, exit: EXIT.usage, cause: error });
  }
};

const bodyOf = async (options: CreateOptions): Promise<CreateMission> => {
  const { goal, template, param, plan, rank, category, priority, tag, hold } = options;
  return {
    goal,
    ...(template === undefined ? {} : { template }),
    ...(param === undefined ? {} : { params: Object.fromEntries(param.map(({ name, value }) => [name, value])) }),
    ...(plan === undefined ? {} : { plan: planOf(await readInput(plan), plan === '-' ? 'standard input' : plan) }),
    ...(rank === undefined ? {} : { rank }),
    ...(category === undefined ? {} : { category }),
    ...(priority === undefined ? {} : { priority }),
    ...(tag === undefined ? {} : { tags: [...tag] }),
    ...(hold === undefined ? {} : { hold }),
  };
};

const missionOf = async ({ gateway }: Session, mission_id: string, min_position?: string): Promise<Mission> => {
  const query = min_position === undefined ? {} : { min_position };
  return (await gateway.call('GET /v1/engine/missions/{mission_id}', { path: { mission_id }, query })).body;
};

/** Until it has ended or waits for an approval, or the time is over. */
const settledMission = async (session: Session, created: Mission, wait: true | number): Promise<Mission> => {
  const { gateway, output, signal } = session;
  const { mission_id } = created;
  const until = wait === true ? signal : AbortSignal.any([signal, AbortSignal.timeout(wait * MILLISECONDS)]);
  let position: string | undefined;
  for await (const event of followMission({ gateway, mission_id, until, onLost: (why) => output.say(why) })) {
    position = event.position;
    if (!GATES.includes(eventName(event))) continue;
    const mission = await missionOf(session, mission_id, position);
    if (mission.status === 'awaiting_approval') return mission;
  }
  signal.throwIfAborted();
  return missionOf(session, mission_id, position);
};

export const createMission = async (session: Session, options: CreateOptions): Promise<void> => {
  const { gateway, output, endWith } = session;
  const { wait, hold } = options;
  if (wait !== undefined && hold)
    throw new CliFault({
      code: 'usage',
      what: 'a mission that is held does not end by itself',
      next: 'leave out --hold or --wait',
      exit: EXIT.usage,
    });
  const { body } = await gateway.call('POST /v1/engine/missions', { body: await bodyOf(options), ...keyed(options) });
  if (wait === undefined) return output.answer(body, () => missionText(output, body));
  output.say(`created ${body.mission_id}`);
  const mission = await settledMission(session, body, wait);
  output.answer(mission, () => missionText(output, mission));
  endWith(exitOfMission(mission));
};

export const listMissions = (session: Session, { status, rank, category, ...paging }: ListOptions): Promise<void> => {
  const filter = { status, rank, category };
  const page = (query: PageQuery) =>
    session.gateway.call('GET /v1/engine/missions', { query: { ...filter, ...query } });
  return listPages(session, paging, page, missionRows);
};

export const showMission = async (session: Session, mission_id: string): Promise<void> => {
  const { output } = session;
  const mission = await missionOf(session, mission_id);
  output.answer(mission, () => missionText(output, mission));
};

/** On a terminal one block stands for all that has happened; it is drawn over itself. */
const makeBlock = ({ output }: Session) => {
  let lines = 0;
  return (mission: Mission): void => {
    const text = missionHead(output, mission);
    output.raw(`${lines > 0 ? `\u001b[${lines}A\u001b[0J` : ''}${text}`);
    lines = text.split('\n').length - 1;
  };
};

export const watchMission = async (session: Session, mission_id: string): Promise<void> => {
  const { gateway, output, signal, endWith } = session;
  const is_block = output.is_terminal && !output.json;
  const draw = makeBlock(session);
  let position: string | undefined;
  if (is_block) draw(await missionOf(session, mission_id));
  for await (const event of followMission({ gateway, mission_id, until: signal, onLost: (why) => output.say(why) })) {
    position = event.position;
    if (is_block) draw(await missionOf(session, mission_id, position));
    else output.line(event, () => eventText(event));
  }
  signal.throwIfAborted();
  const mission = await missionOf(session, mission_id, position);
  if (is_block) output.raw(outcomeText(mission));
  else if (!output.json) output.say(`${mission.mission_id} ${mission.status}`);
  endWith(isEnded(mission) ? exitOfMission(mission) : EXIT.failure);
};

const OPERATIONS = {
  approve: 'POST /v1/engine/missions/{mission_id}/approve',
  deny: 'POST /v1/engine/missions/{mission_id}/deny',
  run: 'POST /v1/engine/missions/{mission_id}/run',
  cancel: 'POST /v1/engine/missions/{mission_id}/cancel',
} as const satisfies Record<Verb, string>;

export const ruleMission = async (
  { gateway, output }: Session,
  verb: Verb,
  mission_id: string,
  options: VerbOptions,
): Promise<void> => {
  const body = options.reason === undefined ? {} : { reason: options.reason };
  // The program asks for the reason where the route needs one.
  const request = { path: { mission_id }, body: body as { reason: string }, ...keyed(options) };
  const { body: mission } = await gateway.callSovereign(OPERATIONS[verb], request);
  output.answer(mission, () => missionText(output, mission));
};
