// Missions: what an operator can do with one, as one request each.
//
//   S1. Nothing starts on this service's own word: every start goes through a verdict of governance, and at A and S
//       through a grant that governance has recorded first.
//   S2. Whatever a request leaves half done after a crash is finished by a reactor from the log.
//   S3. What a mission awaits can be ruled on from the moment it says so, also before governance has been asked.
//   S4. Whoever has a rank ceiling moves no mission whose effective rank is above it.

import { Injectable } from '@nestjs/common';
import { isKeyed, keyedId } from '@nexusmon/event-log';
import type { ApprovalDocument, Verdict } from '@nexusmon/governance-contract';
import { Keyring } from '@nexusmon/keys';
import type { CreateBody, MissionDocument } from '@nexusmon/mission-contract';
import {
  awaitedApprovals,
  enclosed,
  exists,
  isTerminal,
  possibleVerbs,
  type ExistingMission,
} from '@nexusmon/mission-domain';
import type { Asked, Reply } from '@nexusmon/shared-contract';
import { Governance } from '../dispatch/governance.client.js';
import { Enclosures } from '../enclosure/enclosures.js';
import { Planner, type Plan } from '../planning/planner.js';
import { ApprovalRequests } from './approval-requests.js';
import { Endings } from './endings.js';
import { MissionLog, type MissionOutcome, type Order } from './mission-log.js';
import { MissionTraces } from './mission-traces.js';
import { overCeiling } from './rank-ceiling.js';
import { MissionDocuments } from './mission-documents.js';
import { notFound, refusalOf } from './replies.js';

type Verb = Readonly<{ asked: Asked; mission_id: string; reason?: string | undefined; sovereign: boolean }>;
type Creation = Readonly<{ asked: Asked; mission_id: string; body: CreateBody; wait_ms: number }>;
type GrantOptions = Readonly<{ key_id: string | undefined; start?: boolean }>;
type MissionReply = Promise<Reply<MissionDocument>>;

@Injectable()
export class Missions {
  constructor(
    private readonly missions: MissionLog,
    private readonly planner: Planner,
    private readonly governance: Governance,
    private readonly approvals: ApprovalRequests,
    private readonly keyring: Keyring,
    private readonly endings: Endings,
    private readonly traces: MissionTraces,
    private readonly documents: MissionDocuments,
    private readonly enclosures: Enclosures,
  ) {}

  async create(creation: Creation): MissionReply {
    const { asked, mission_id } = creation;
    return (await this.isRepeat(mission_id, asked)) ? this.createdBefore(creation) : this.createNew(creation);
  }

  /** Starts a held mission through the gate; with the operator key also one that awaits approval. */
  async run(verb: Verb): MissionReply {
    const { asked, mission_id, sovereign } = verb;
    const { state, key_id } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    if (await this.isRepeat(mission_id, asked)) return this.doneBefore(mission_id, asked);
    const refused = overCeiling(asked, state.plan.effective_rank);
    if (refused) return refused;
    if (state.status === 'awaiting_approval' && sovereign) return this.grantAndStart(state, verb, key_id);
    const reused = sovereign ? refusedRepeat(await this.grantedBefore(state, verb)) : undefined;
    if (reused) return reused;
    if (state.status !== 'accepted') {
      const outcome = await this.missions.ask(mission_id, asked, { type: 'RunMission', data: { sovereign } });
      // Somebody has approved it meanwhile, and it is held: starting it goes through the gate.
      const overtaken = outcome.kind === 'rejected' && outcome.rejection.code === 'verdict-required';
      return overtaken ? this.run(verb) : this.documents.replyOf(outcome);
    }
    const { plan, request } = state;
    const verdict = await this.judge(mission_id, plan, state.tasks, request.category);
    const approval_id = approvalIdOf(mission_id, plan.plan_digest);
    const data = { verdict, approval_id, sovereign };
    const outcome = await this.missions.ask(mission_id, asked, { type: 'RunMission', data });
    if (outcome.kind === 'accepted') await this.approvals.request(outcome.state, key_id);
    return this.documents.replyOf(outcome);
  }

  /** Grants what the mission awaits, and moves it in the same request. */
  async approve(verb: Verb): MissionReply {
    const { asked, mission_id } = verb;
    const { state, position, key_id } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    if (await this.isRepeat(mission_id, asked)) return this.doneBefore(mission_id, asked);
    if (awaitedApprovals(state).length > 0) return this.grantAll(state, verb, { key_id });
    const before = await this.grantedBefore(state, verb);
    const granted = before ? before.kind === 'done' : state.approval?.status === 'granted';
    if (granted) return this.documents.reply(state, position, false);
    return refusedRepeat(before) ?? illegal(state);
  }

  async deny({ asked, mission_id, reason = '' }: Verb): MissionReply {
    const { state, position, key_id } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    if (await this.isRepeat(mission_id, asked)) return this.doneBefore(mission_id, asked);
    const [awaited] = awaitedApprovals(state);
    const denial = (approval_id: string) => ({ asked: forApproval(asked, approval_id), approval_id, reason });
    if (awaited) {
      const reply = await this.ruled(state, key_id, () => this.governance.deny(denial(awaited.approval_id)));
      return reply.kind === 'done' ? this.settle(reply.body, asked) : reply;
    }
    const { approval } = state;
    if (approval?.status !== 'refused' || approval.outcome !== 'denied') return illegal(state);
    const before = isKeyed(asked.command_id) ? await this.governance.deny(denial(approval.approval_id)) : undefined;
    return refusedRepeat(before) ?? this.documents.reply(state, position, false);
  }

  async cancel({ asked, mission_id, reason }: Verb): MissionReply {
    if (asked.rank_ceiling !== undefined) {
      const { state } = await this.missions.load(mission_id);
      if (!exists(state)) return notFound;
      const refused = overCeiling(asked, state.plan.effective_rank);
      if (refused) return refused;
    }
    const data = reason === undefined ? {} : { reason };
    return this.documents.replyOf(await this.missions.ask(mission_id, asked, { type: 'CancelMission', data }));
  }

  /**
   * Moves a mission as governance decided about one of its approvals. Harmless when it has moved already. `asked` is
   * the request that had governance decide, where there is one: the mission remembers it.
   */
  settle(approval: ApprovalDocument, asked?: Asked): MissionReply {
    const { approval_id, mission_id, plan_digest, task_id, effect_digest, settled_by = '', reason } = approval;
    if (approval.status === 'pending' || approval.status === 'cooling_off') return this.get(mission_id);
    if (approval.status === 'granted') {
      const bound = { ...(task_id ? { task_id } : {}), ...(effect_digest ? { effect_digest } : {}) };
      const data = { approval_id, granted_by: settled_by, shape: approval.shape ?? false, plan_digest, ...bound };
      return this.record(mission_id, asked, { type: 'RecordGrant', data });
    }
    const data = { approval_id, outcome: approval.status, ...(reason === undefined ? {} : { reason }) };
    return this.record(mission_id, asked, { type: 'RecordRefusal', data });
  }

  async get(mission_id: string): MissionReply {
    const { state, position } = await this.missions.load(mission_id);
    return this.documents.reply(state, position, false);
  }

  private async createdBefore({ asked, mission_id, wait_ms }: Creation): MissionReply {
    const ending = this.endings.expect(mission_id, wait_ms);
    try {
      const outcome = await this.again(mission_id, asked);
      if (outcome.kind === 'rejected' || isTerminal(outcome.state)) return await this.documents.replyOf(outcome);
      const last = await ending.comes();
      return await (last ? this.documents.reply(last.state, last.position, false) : this.documents.replyOf(outcome));
    } finally {
      ending.forget();
    }
  }

  private async createNew({ asked, mission_id, body, wait_ms }: Creation): MissionReply {
    const planning = await this.planner.plan(body);
    if (planning.kind === 'refused') return planning;
    const { plan, oversized } = planning;
    const refused = overCeiling(asked, plan.effective_rank);
    if (refused) return refused;
    this.traces.begin(mission_id);
    const drafts = plan.tasks.map((task) => ({ plan: task }));
    const [verdict, key_id] = await Promise.all([
      this.judge(mission_id, plan, drafts, body.category),
      this.keyring.take(),
    ]);
    const request = requestOf(mission_id, asked.actor, body);
    const written = oversized
      ? await this.enclose(request, plan, key_id, body.params)
      : { request: { ...request, params: body.params }, plan };
    const data = { ...written, verdict, approval_id: approvalIdOf(mission_id, plan.plan_digest) };
    const creating = { key_id, is_new: !isKeyed(asked.command_id) };
    const ending = this.endings.expect(mission_id, wait_ms);
    try {
      const outcome = await this.missions.ask(mission_id, asked, { type: 'CreateMission', data }, creating);
      if (outcome.kind === 'rejected') return await this.documents.replyOf(outcome);
      if (outcome.kind === 'accepted') await this.approvals.request(outcome.state, key_id);
      const last = await ending.comes();
      return await (last ? this.documents.reply(last.state, last.position, true) : this.documents.replyOf(outcome));
    } finally {
      ending.forget();
    }
  }

  /** What is too large for events is in the vault before any of them is written. */
  private async enclose(
    request: ReturnType<typeof requestOf>,
    plan: Plan,
    key_id: string,
    params: CreateBody['params'],
  ) {
    const inputs = plan.tasks.map(({ input }) => input);
    const enclosure = await this.enclosures.keep(request.mission_id, key_id, { params, inputs });
    return { request: { ...request, enclosure }, plan: { ...plan, tasks: plan.tasks.map(enclosed) } };
  }

  /** Where somebody else has moved the mission meanwhile, what it has become says what starting it means. */
  private async grantAndStart(state: ExistingMission, verb: Verb, key_id: string | undefined): MissionReply {
    const reply = await this.grantAll(state, verb, { key_id, start: true });
    if (reply.kind === 'done') return reply.body.status === 'accepted' ? this.run(verb) : reply;
    if (reply.kind !== 'refused') return reply;
    const { state: now } = await this.missions.load(verb.mission_id);
    return now.status === 'awaiting_approval' ? reply : this.run(verb);
  }

  /** `start`: the grants shall start the mission also where it is held. */
  private async grantAll(state: ExistingMission, verb: Verb, options: GrantOptions): MissionReply {
    const { asked, mission_id, sovereign } = verb;
    const { key_id, start = false } = options;
    for (const [index, { approval_id }] of awaitedApprovals(state).entries()) {
      const reply = await this.ruled(state, key_id, () => this.governance.grant(grantOf(verb, approval_id)));
      if (reply.kind !== 'done') return reply;
      if (start && state.held) await this.liftHold(mission_id, asked, sovereign);
      // The first of them stands for the request as a whole.
      const moved = await this.settle(reply.body, index === 0 ? asked : forApproval(asked, approval_id));
      if (moved.kind !== 'done') return moved;
    }
    return this.get(mission_id);
  }

  /**
   * What governance says to the same ruling again. The mission itself does not remember a command whose ruling a
   * reactor has brought to it first; and what was said once under a key is true for good, also after its end.
   */
  private async grantedBefore(state: ExistingMission, verb: Verb): Promise<Reply<ApprovalDocument> | undefined> {
    const { approval } = state;
    if (!approval || approval.status === 'pending' || !isKeyed(verb.asked.command_id)) return undefined;
    return this.governance.grant(grantOf(verb, approval.approval_id));
  }

  /** S3: a ruling on an approval that governance does not know yet comes after the request for it. */
  private async ruled(
    state: ExistingMission,
    key_id: string | undefined,
    rule: () => Promise<Reply<ApprovalDocument>>,
  ): Promise<Reply<ApprovalDocument>> {
    const reply = await rule();
    if (reply.kind !== 'refused' || reply.refusal.code !== 'approval-not-found') return reply;
    await this.approvals.requestAll(state, key_id);
    return rule();
  }

  /** On record before the grant takes effect, so that it starts the mission whenever that is. */
  private async liftHold(mission_id: string, asked: Asked, sovereign: boolean): Promise<void> {
    const wish = { ...asked, command_id: keyedId('cmd', asked.command_id, 'run') };
    await this.missions.ask(mission_id, wish, { type: 'RunMission', data: { sovereign } });
  }

  private async record(mission_id: string, asked: Asked | undefined, order: Order): MissionReply {
    const outcome = asked ? this.missions.ask(mission_id, asked, order) : this.missions.order(mission_id, order);
    return this.documents.replyOf(await outcome);
  }

  /** Only a keyed request can come again: the ids of the others have just been made. */
  private async isRepeat(mission_id: string, { command_id }: Asked): Promise<boolean> {
    return isKeyed(command_id) && this.missions.knows(mission_id, command_id);
  }

  /** The same request again: the mission as it is now, or a refusal where it asks for something else under its key. */
  private async doneBefore(mission_id: string, asked: Asked): MissionReply {
    return this.documents.replyOf(await this.again(mission_id, asked));
  }

  private again(mission_id: string, asked: Asked): Promise<MissionOutcome> {
    return this.missions.ask(mission_id, asked, { type: 'Tick', data: {} });
  }

  private judge(
    mission_id: string,
    { plan_digest, rank, effective_rank }: Pick<Plan, 'plan_digest' | 'rank' | 'effective_rank'>,
    tasks: readonly { plan: Pick<Plan['tasks'][number], 'worker' | 'risk_level'> }[],
    category: CreateBody['category'],
  ): Promise<Verdict> {
    const workers = new Map(tasks.map(({ plan }) => [plan.worker, plan.risk_level]));
    return this.governance.judge({
      mission_id,
      plan_digest,
      rank,
      effective_rank,
      category,
      workers: [...workers].map(([name, risk_level]) => ({ name, risk_level })),
    });
  }
}

/** All but the parameters, which may be too large to stand here. */
const requestOf = (mission_id: string, requested_by: string, body: CreateBody) => {
  const { goal, category, rank, constraints, template, hold, priority, tags } = body;
  const always = { mission_id, goal, category, constraints, hold, priority, tags, requested_by };
  return { ...always, ...(rank ? { rank_asked: rank } : {}), ...(template ? { template } : {}) };
};

/** What a request has done to one of several approvals: a repeat of the request repeats it. */
const forApproval = (asked: Asked, approval_id: string): Asked => ({
  ...asked,
  command_id: keyedId('cmd', asked.command_id, approval_id),
});

const grantOf = ({ asked, reason, sovereign }: Verb, approval_id: string) => {
  const always = { asked: forApproval(asked, approval_id), approval_id, shape: true, sovereign };
  return reason === undefined ? always : { ...always, reason };
};

/** Why a repeat is not answered as the first: the key was another body's, or governance is away. */
const refusedRepeat = (reply: Reply<ApprovalDocument> | undefined): Reply<never> | undefined => {
  if (reply?.kind === 'unavailable') return reply;
  return reply?.kind === 'refused' && reply.refusal.code === 'idempotency-key-reused' ? reply : undefined;
};

/** One approval per plan: asking again for the same plan is asking once. */
const approvalIdOf = (mission_id: string, plan_digest: string) => keyedId('apr', mission_id, plan_digest);

const illegal = (state: ExistingMission): Reply<never> => ({
  kind: 'refused',
  refusal: refusalOf({ code: 'illegal-transition', status: state.status, possible: possibleVerbs(state) }),
});
