// Any commands of anybody, in any order and at any time, on one mission and the approvals that it asks for. What cannot
// be forged (verdicts and permits, which governance signs) is what its gate gave out, for whatever it was given out;
// everything else is made up freely.

import { describe } from '@jest/globals';
import { readConfig } from '@nexusmon/config';
import { canonical, keyedId } from '@nexusmon/event-log';
import type { Verdict } from '@nexusmon/governance-contract';
import { approval, type Approval, type ApprovalCommand } from '@nexusmon/governance-domain';
import { secondsAfter } from '@nexusmon/kernel';
import type { MissionEvent } from '@nexusmon/mission-contract';
import {
  exists,
  highestRank,
  mission,
  rankOfTask,
  readyTasks,
  type ExistingMission,
  type Mission,
  type MissionCommand,
} from '@nexusmon/mission-domain';
import { RANKS, type Rank } from '@nexusmon/shared-contract';
import type { PermitClaims } from '@nexusmon/worker-contract';
import fc from 'fast-check';
import type { Approvals } from '../../libs/governance/service/src/approval/approvals.js';
import { Gate } from '../../libs/governance/service/src/gate/gate.js';
import type { Signer } from '../../libs/governance/service/src/gate/signer.js';
import { drill } from '../support/drill.js';

const BEGIN = '2026-01-01T12:00:00.000Z';
const MISSIONS = ['msn_0190b6c1-0000-7000-8000-000000000001', 'msn_0190b6c1-0000-7000-8000-000000000002'] as const;
const DIGESTS = ['a', 'b', 'c'].map((letter) => letter.repeat(64));
const ACTORS = [
  'operator:ada',
  'operator:bob',
  'service:mission',
  'service:stray',
  'llm:planner',
  'worker:one',
] as const;
const CONFIG = readConfig({});
const isHigh = (rank: Rank) => rank === 'A' || rank === 'S';

type Setting = Readonly<{
  rank: Rank;
  /** What the plan says of itself; honest where nothing is said. */
  claimed: Rank | null;
  risks: readonly Rank[];
  gated: boolean;
  derived: boolean;
  hold: boolean;
}>;
type Step = Readonly<{
  kind:
    | 'create'
    | 'run'
    | 'ask'
    | 'grant'
    | 'deny'
    | 'withdraw'
    | 'tell'
    | 'permit'
    | 'claim'
    | 'gate'
    | 'tick'
    | 'cancel'
    | 'report';
  actor: (typeof ACTORS)[number];
  sovereign: boolean;
  /** Which of several, where there are several; also what is made up, and how. */
  pick: number;
  forged: boolean;
  seconds: number;
}>;

const rank = fc.constantFrom(...RANKS);
const HONEST = Array.from({ length: 40 }, () => null);
const risk = fc.constantFrom('E', 'E', 'E', 'E', ...RANKS);
const anySetting: fc.Arbitrary<Setting> = fc.record({
  ...{ rank, claimed: fc.constantFrom(...HONEST, ...RANKS), risks: fc.array(risk, { minLength: 1, maxLength: 2 }) },
  ...{ gated: fc.boolean(), derived: fc.boolean(), hold: fc.constantFrom(false, false, false, false, true) },
});
const KINDS = [
  'ask',
  'grant',
  'grant',
  'tell',
  'tell',
  'permit',
  'permit',
  'claim',
  'claim',
  'gate',
  'tick',
  'report',
] as const;
/** What ends everything comes seldom. */
const MOSTLY = Array.from({ length: 6 }, () => KINDS).flat();
const NOW = Array.from({ length: 25 }, () => 0);
const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...MOSTLY, 'create', 'run', 'run', 'deny', 'withdraw', 'cancel'),
  actor: fc.constantFrom('operator:ada', 'operator:ada', ...ACTORS),
  sovereign: fc.boolean(),
  pick: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4, 5),
  forged: fc.constantFrom(false, false, false, false, false, true),
  seconds: fc.constantFrom(...NOW, 1, 11, 61, 15_000, 90_000),
});

/** One mission, the approvals of its log, and what governance has given out. */
class Scene {
  time = BEGIN;
  state: Mission = mission.initial;
  readonly approvals = new Map<string, Approval>();
  readonly granted: { approval_id: string; by: string; sovereign: boolean }[] = [];
  readonly verdicts: Verdict[] = [];
  readonly permits: PermitClaims[] = [];
  readonly broken: string[] = [];
  readonly starts: Rank[] = [];
  /** Of what a task was about to do when the gate last asked for leave. */
  private effect_digest = DIGESTS[1] ?? '';
  /** Tasks that the gate has asked for leave for. */
  private readonly stopped = new Set<string>();
  private readonly gate: Gate;

  constructor(readonly setting: Setting) {
    const approvals = { state: (id: string) => Promise.resolve(this.approvals.get(id) ?? approval.initial) };
    const signer = {
      isOurs: (text: string, signature: string) =>
        this.verdicts.some((verdict) => verdict.signature === signature && canonical(verdict.claims) === text),
    };
    this.gate = new Gate(approvals as unknown as Approvals, signer as unknown as Signer, CONFIG);
  }

  async take({ kind, ...step }: Step): Promise<void> {
    this.time = secondsAfter(this.time, step.seconds);
    const { actor, sovereign, pick, forged } = step;
    switch (kind) {
      case 'create':
        return this.create(step);
      case 'permit':
        return this.permit(step);
      case 'ask':
        return this.ask(step);
      case 'grant':
        return this.rule({ type: 'GrantApproval', data: { shape: pick > 2, sovereign, reason: 'because' } }, step);
      case 'deny':
        return this.rule({ type: 'DenyApproval', data: { reason: 'no' } }, step);
      case 'withdraw':
        return this.rule({ type: 'WithdrawApproval', data: {} }, step);
      case 'run': {
        const verdict = this.verdict(pick, forged);
        return this.move({ type: 'RunMission', data: { sovereign, verdict, approval_id: approvalOf(0) } }, actor);
      }
      case 'cancel':
        return this.move({ type: 'CancelMission', data: {} }, actor);
      case 'tick':
        for (const id of this.approvals.keys()) this.decide(id, { type: 'Tick', actor, data: {} }, sovereign);
        return this.move({ type: 'Tick', data: {} }, actor);
      case 'tell':
      case 'gate':
      case 'report':
      case 'claim':
        return this.doTask(kind, step);
    }
  }

  private doTask(kind: 'tell' | 'claim' | 'gate' | 'report', { actor, pick, forged }: Omit<Step, 'kind'>): void {
    const task_id = this.taskId(pick);
    const approval_id = approvalOf(pick);
    switch (kind) {
      case 'tell':
        return this.tell(this.named(pick, forged, 'granted'), forged, actor);
      case 'gate':
        if (!forged && !this.stopped.has(task_id)) return;
        return this.move(
          { type: 'GateTask', data: { task_id, approval_id, effect_digest: this.effect_digest, why: 'task_gate' } },
          actor,
        );
      case 'report':
        return this.move(
          {
            type: 'ReportTask',
            data: {
              ...{ task_id, attempt: 1 + (pick % 2) },
              result: { outcome: 'completed', output: {}, artifacts: [], duration_ms: 1 },
            },
          },
          actor,
        );
      case 'claim':
        return this.claim(pick, actor);
    }
  }

  private taskId(pick: number): string {
    return `task_${pick % this.setting.risks.length}`;
  }

  private get claimed(): Rank {
    return this.setting.claimed ?? highestRank([this.setting.rank, ...this.setting.risks]);
  }

  private get plan(): ExistingMission['plan'] & { tasks: ExistingMission['tasks'][number]['plan'][] } {
    const { rank: asked, risks, gated, derived } = this.setting;
    const tasks = risks.map((risk_level, index) => ({
      ...{ task_id: `task_${index}`, worker: 'system.echo', worker_version: '1.0.0', worker_digest: DIGESTS[0] ?? '' },
      ...{ input: derived && index > 0 ? { $output: 'task_0' } : {}, depends_on: index > 0 ? ['task_0'] : [] },
      ...{ retry: { max_attempts: 3, backoff_seconds: 1 }, timeout_seconds: 10, risk_level },
      ...{ requires_approval: gated && index === 0, verifies: false },
    }));
    const digests = { plan_digest: DIGESTS[0] ?? '', fingerprint: DIGESTS[2] ?? '' };
    return { plan_source: 'request', tasks, ...digests, rank: asked, effective_rank: this.claimed };
  }

  /** The gate's word on this mission, on another, or on another plan; or one that somebody wrote. */
  private verdict(pick: number, forged: boolean): Verdict {
    const { plan_digest, rank: asked, effective_rank, tasks } = this.plan;
    const about = {
      ...{ mission_id: MISSIONS[pick === 4 ? 1 : 0], plan_digest: pick === 5 ? (DIGESTS[1] ?? '') : plan_digest },
      ...{ rank: asked, effective_rank, category: 'forge' as const },
      workers: tasks.map(({ worker: name, risk_level }) => ({ name, risk_level })),
    };
    const claims = this.gate.judge(pick === 3 ? { ...about, rank: 'E', effective_rank: 'E', workers: [] } : about);
    if (forged) return { claims: { ...claims, outcome: 'execute', effective_rank }, signature: 'forged' };
    const verdict = { claims, signature: `signed ${this.verdicts.length}` };
    this.verdicts.push(verdict);
    return verdict;
  }

  private create({ actor, pick, forged }: Omit<Step, 'kind'>): void {
    const request = {
      ...{ mission_id: MISSIONS[0], goal: 'try', category: 'forge' as const, constraints: {}, params: {} },
      ...{ hold: this.setting.hold, priority: 0, tags: [], requested_by: actor },
    };
    const data = { request, plan: this.plan, verdict: this.verdict(pick, forged), approval_id: approvalOf(0) };
    this.move({ type: 'CreateMission', data }, actor);
  }

  private ask({ actor, pick }: Omit<Step, 'kind'>): void {
    const asked_rank = pick === 5 ? 'E' : this.claimed;
    const own = pick % 2 === 1 ? { task_id: this.taskId(pick), effect_digest: this.effect_digest } : {};
    const data = {
      ...{ approval_id: approvalOf(pick), mission_id: MISSIONS[pick === 4 ? 1 : 0], plan_digest: DIGESTS[0] ?? '' },
      ...{ rank: asked_rank, requested_by: actor, reasons: [], summary: 'x', derived_inputs: [], ...own },
      ...{ cooling_off_seconds: asked_rank === 'S' ? 10 : 0, expires_seconds: asked_rank === 'S' ? 14_400 : 86_400 },
    };
    this.decide(approvalOf(pick), { type: 'RequestApproval', actor, data }, false);
  }

  private rule(order: Ruling, { actor, pick, sovereign, forged }: Omit<Step, 'kind'>): void {
    this.decide(this.named(pick, forged, 'pending'), { ...order, actor }, sovereign);
  }

  /** An approval that stands like this, where there is one; any at all for whoever makes things up. */
  private named(pick: number, forged: boolean, status: Approval['status']): string {
    const known = [...this.approvals].flatMap(([id, one]) => (one.status === status ? [id] : []));
    return (forged ? undefined : known[pick % Math.max(1, known.length)]) ?? approvalOf(pick);
  }

  private decide(id: string, command: Untimed<ApprovalCommand>, sovereign: boolean): void {
    const before = this.approvals.get(id) ?? approval.initial;
    const decision = approval.decide({ ...command, time: this.time }, before);
    if (decision.kind === 'rejected') return;
    this.approvals.set(id, decision.events.reduce(approval.evolve, before));
    for (const event of decision.events) {
      if (event.type === 'ApprovalCoolingOff' || (event.type === 'ApprovalGranted' && before.status === 'pending'))
        this.granted.push({ approval_id: id, by: event.data.granted_by, sovereign });
    }
  }

  /** What governance has decided is told to the mission; or what it has not. */
  private tell(approval_id: string, forged: boolean, actor: string): void {
    const known = this.approvals.get(approval_id);
    if (!forged && known?.status !== 'granted') return;
    const own = approvalOf(0) === approval_id ? {} : { task_id: this.taskId(1), effect_digest: this.effect_digest };
    const asked = known?.status === 'granted' ? known.request : undefined;
    const { task_id, effect_digest } = asked ?? {};
    const bound = task_id && effect_digest ? { task_id, effect_digest } : own;
    const data = {
      approval_id,
      granted_by: 'operator:ada',
      shape: true,
      plan_digest: DIGESTS[0] ?? '',
      ...bound,
    };
    this.move({ type: 'RecordGrant', data }, actor);
  }

  /** Asks the gate for a permit, in any words: for another rank, with another verdict, naming another approval. */
  private async permit({ pick, forged }: Omit<Step, 'kind'>): Promise<void> {
    if (!exists(this.state)) return;
    const any = this.state.tasks[pick % this.state.tasks.length];
    const task = forged ? any : (readyTasks(this.state)[0] ?? any);
    if (!task) return;
    const known = this.verdicts[forged ? pick % this.verdicts.length : this.verdicts.length - 1];
    const { claims, signature } = known ?? this.verdict(pick, true);
    const { plan } = task;
    const effect = {
      ...{ mission_id: MISSIONS[0], task_id: plan.task_id, attempt: task.attempt + 1, worker: plan.worker },
      ...{ worker_version: plan.worker_version, worker_digest: plan.worker_digest, input_digest: DIGESTS[2] ?? '' },
      ...{ limits: { timeout_seconds: 10, output_bytes_max: 1_000 }, egress: [] },
      rank: forged && pick > 2 ? ('E' as const) : rankOfTask(this.state, task),
    };
    const ruling = await this.gate.permit({
      ...{ effect, plan_digest: DIGESTS[0] ?? '', approval_id: approvalOf(forged ? pick : 0) },
      verdict: { text: canonical(claims), signature },
      ...{
        task_approval_id: approvalOf(pick),
        task_gate: plan.requires_approval,
        derived_input: this.setting.derived && plan.depends_on.length > 0,
      },
    });
    if (ruling.kind === 'needs_approval') {
      this.effect_digest = ruling.effect_digest;
      this.stopped.add(plan.task_id);
    }
    if (ruling.kind === 'claims') this.permits.push({ ...ruling.claims, expires_at: secondsAfter(this.time, 60) });
  }

  private claim(pick: number, actor: string): void {
    const claims = this.permits.at(pick < 3 ? -1 : -1 - (pick % Math.max(1, this.permits.length)));
    if (!claims) return;
    const permit = { claims, signature: 'signed' };
    const data = { task_id: claims.task_id, runner_id: `runner_${pick}`, input_digest: DIGESTS[2] ?? '' };
    this.move({ type: 'ClaimTask', data: { ...data, permit, deadline: secondsAfter(this.time, 10) } }, actor);
  }

  private move(order: Order, actor: string): void {
    const decision = mission.decide({ ...order, actor, time: this.time }, this.state);
    if (decision.kind === 'rejected') return;
    for (const event of decision.events) {
      this.check(event, this.state);
      this.state = mission.evolve(this.state, event);
    }
  }

  private check(event: MissionEvent, before: Mission): void {
    if (event.type !== 'TaskClaimed' || !exists(before)) return;
    const task = before.tasks.find(({ plan }) => plan.task_id === event.data.task_id);
    const of = task ? rankOfTask(before, task) : before.plan.effective_rank;
    this.starts.push(of);
    const leave = (task_id: string | undefined) =>
      this.granted.find(({ approval_id }) => {
        const found = this.approvals.get(approval_id);
        if (found?.status !== 'granted') return false;
        return found.request.mission_id === MISSIONS[0] && found.request.task_id === task_id;
      });
    const [whole, own] = [leave(undefined), leave(event.data.task_id)];
    if (isHigh(of) && !whole) this.broken.push(`started at ${of} without a grant`);
    if (isHigh(of) && !(whole?.by.startsWith('operator:') && whole.sovereign))
      this.broken.push(`started at ${of} by the grant of ${whole?.by}, with the operator key: ${whole?.sovereign}`);
    if (task?.plan.requires_approval && !own) this.broken.push(`${task.plan.task_id} started behind its gate`);
    if (!readyTasks(before).some(({ plan }) => plan.task_id === event.data.task_id)) this.broken.push('was not ready');
  }
}

type Untimed<Command> = Command extends { time: string } ? Omit<Command, 'time'> : never;
type Unsigned<Command> = Command extends { time: string } ? Omit<Command, 'time' | 'actor'> : never;
type Order = Unsigned<MissionCommand>;
type Ruling = Unsigned<ApprovalCommand>;

const approvalOf = (pick: number) => keyedId('apr', String(pick));

/** A mission is there in every sequence, as far as it may be. */
const CREATE: Step = { kind: 'create', actor: 'operator:ada', sovereign: false, pick: 0, forged: false, seconds: 0 };

describe('any commands of anybody', () => {
  const P30 = {
    promise: 'P30',
    title: 'nothing starts at A or S, or behind a gate, before its grant; E and D start without one',
    rounds: { test: 1_500, drill: 100_000 },
    minutes: { test: 5, drill: 60 },
  };

  drill(P30, async ({ n, seed, path, full, fail, figure }) => {
    const starts = new Map<string, number>();
    let commands = 0;
    const steps = fc.array(anyStep, { minLength: 20, maxLength: 60, size: 'max' });
    const property = fc.asyncProperty(anySetting, steps, async (setting, taken) => {
      const scene = new Scene(setting);
      await scene.take(CREATE);
      for (const step of taken) await scene.take(step);
      commands += taken.length;
      for (const of of scene.starts) starts.set(of, (starts.get(of) ?? 0) + 1);
      if (scene.broken.length > 0) throw new Error(scene.broken.join('; '));
    });
    const found = await fc.check(property, {
      ...{ seed, numRuns: n, endOnFailure: !full },
      ...(path === undefined ? {} : { path }),
    });
    figure('commands', commands);
    for (const of of RANKS) {
      figure(`starts_${of.toLowerCase()}`, starts.get(of) ?? 0);
      // Where nothing starts, nothing has been tried.
      if (!found.failed && path === undefined && !starts.get(of)) fail(`nothing has started at ${of}`);
    }
    if (!found.failed) return;
    const what = found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance);
    const again = `npm run drill -- --only P30 --seed ${seed} --path ${found.counterexamplePath}`;
    fail([what, `again: ${again}`, JSON.stringify(found.counterexample)].join('\n'));
  });
});
