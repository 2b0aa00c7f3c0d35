// The dispatcher: gives ready tasks to runners that wait for work.
//
//   D1. A task is handed out only by a commit that claims it, and that commit carries governance's permit for the very
//       bytes that will run.
//   D2. All state here is a cache over the log. Losing it delays a task; it never starts one twice, because the claim's
//       expectation and its attempt number are checked where the log is written.
//   D3. While governance is away ready tasks wait; they use up no try.
//   D4. No commit waits long for a claim: what cannot be claimed in time is tried again later. So the end of a task is
//       recorded, whoever is away.

import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Logger } from '@nexusmon/telemetry';
import type { Identified, Proposed } from '@nexusmon/event-log';
import { Unavailable } from '@nexusmon/messaging';
import {
  exists,
  readyTasks,
  runningTasks,
  type ExistingMission,
  type Mission,
  type MissionCommand,
  type TaskState,
} from '@nexusmon/mission-domain';
import type { Assignment, PollReply, PollRequest, ReportReply, ReportRequest } from '@nexusmon/worker-contract';
import { MissionLog } from '../mission/mission-log.js';
import { WorkerCatalog } from '../planning/catalog.js';
import { gaugeDispatch, type DispatchFigures } from '../telemetry.js';
import { Claiming, type Claim as Claimed } from './claiming.js';
import { Claims, type AttemptName, type Claim } from './claims.js';
import { Offer, Offers } from './offers.js';
import { Pauses } from './pauses.js';
import { ReadyIndex } from './ready-index.js';

/** Well below what a commit may take in all (D4). */
const CLAIM_MS_MAX = 1_500;
const LEASE_CHECK_MS = 1_000;
/** A runner that has not asked for this long is no longer counted. */
const RUNNER_SILENT_MS = 45_000;

type MissionProposed = Proposed<Mission, MissionCommand>;

@Injectable()
export class Dispatcher implements OnModuleDestroy {
  private readonly ready = new ReadyIndex();
  private readonly offers = new Offers();
  private readonly claims = new Claims();
  private readonly nudging = new Set<string>();
  /** Slots that are reserved for claims of commits under way, by command. */
  private readonly proposed = new Map<string, { offer: Offer; assignment: Assignment; bytes: number }>();
  private readonly stops = new Map<string, AttemptName[]>();
  private readonly runners = new Map<string, number>();
  private readonly pauses = new Pauses(() => this.pump(this.ready.workers));
  private readonly lease_check: NodeJS.Timeout;
  private readonly endGauges = gaugeDispatch(() => this.figures);
  private stopping = false;

  constructor(
    private readonly missions: MissionLog,
    private readonly catalog: WorkerCatalog,
    private readonly claiming: Claiming,
    private readonly log: Logger,
  ) {
    missions.followWith({
      propose: (state) => this.propose(state),
      settled: (outcome, proposed) => this.settled(outcome, proposed),
    });
    missions.observe((mission_id, state) => this.observe(mission_id, state));
    this.lease_check = setInterval(() => this.releaseExpired(), LEASE_CHECK_MS);
  }

  onModuleDestroy(): void {
    this.stopping = true;
    this.endGauges();
    clearInterval(this.lease_check);
    this.pauses.close();
    this.offers.closeAll();
  }

  /** A runner asks for work and says what it is doing. Answers as soon as there is something for it. */
  async poll(request: PollRequest): Promise<PollReply> {
    const { runner_id, workers, slots, wait_ms } = request;
    const now = Date.now();
    this.runners.set(runner_id, now);
    if (request.manifests) {
      this.catalog.announce(request.manifests);
      // It has just started, or had trouble: what it is given on an older poll may reach nobody.
      this.offers.closeOfRunner(runner_id);
    }
    const { lost, stop, unknown } = this.claims.heard(runner_id, request.running, now);
    for (const claim of lost) this.release(claim, 'runner_lost');
    for (const attempt of unknown) void this.lookUp({ ...attempt, runner_id });
    const stops = [...stop, ...this.takeStops(runner_id)];
    if (stops.length > 0) return { assignments: [], stop: stops };

    const offer = new Offer(runner_id, new Set(workers), slots);
    const assignments = await this.offering(offer, { first: false }, async () => {
      this.pump(workers);
      await offer.over(this.stopping ? 0 : wait_ms);
    });
    return { assignments, stop: this.takeStops(runner_id) };
  }

  /** The end of one attempt. The slot it frees may get the next task in the same commit. */
  async report({ runner_id, workers, mission_id, task_id, attempt, result }: ReportRequest): Promise<ReportReply> {
    const offer = new Offer(runner_id, new Set(workers), 1);
    let reason: string | undefined;
    const assignments = await this.offering(offer, { first: true }, async () => {
      this.claims.reported(mission_id, task_id, attempt);
      const outcome = await this.missions.order(mission_id, { type: 'ReportTask', data: { task_id, attempt, result } });
      if (outcome.kind === 'rejected') reason = outcome.rejection.code;
      offer.close();
      await offer.over(0);
    });
    return { accepted: reason === undefined, ...(reason ? { reason } : {}), assignments: [...assignments] };
  }

  /** Takes in how a mission stands, after a commit or at start. */
  observe(mission_id: string, state: Mission): void {
    if (!exists(state)) return;
    const ready = readyTasks(state).map(({ plan }) => plan.worker);
    this.ready.set(mission_id, state.request.priority, ready);
    const running = runningTasks(state).flatMap(({ plan, attempt, progress }): Claim[] =>
      progress.status === 'running'
        ? [{ mission_id, task_id: plan.task_id, attempt, runner_id: progress.runner_id }]
        : [],
    );
    for (const ended of this.claims.observe(mission_id, running, Date.now())) this.stop(ended);
    if (ready.length > 0) this.pump(ready);
    else this.pauses.end(mission_id);
  }

  get figures(): DispatchFigures {
    const now = Date.now();
    const runners = [...this.runners.values()].filter((seen) => now - seen < RUNNER_SILENT_MS).length;
    return { queued_tasks: this.ready.tasks, running_tasks: this.claims.size, runners, free_slots: this.offers.free };
  }

  private async propose(state: Mission): Promise<readonly Identified<MissionCommand>[]> {
    if (!exists(state) || this.stopping) return [];
    const { mission_id } = state.request;
    if (this.pauses.has(mission_id)) return [];
    const reserved = readyTasks(state).flatMap((task) => {
      const offer = this.offers.reserve(task.plan.worker);
      return offer ? [{ task, offer }] : [];
    });
    const claims = await Promise.all(reserved.map(({ task, offer }) => this.claim(state, task, offer)));
    if (claims.includes(undefined)) this.pauses.begin(mission_id);
    else if (claims.length > 0) this.pauses.end(mission_id);
    return claims.flatMap((claim) => claim ?? []);
  }

  /** Undefined when the task cannot be claimed now: it stays ready (D3). */
  private async claim(
    state: ExistingMission,
    task: TaskState,
    offer: Offer,
  ): Promise<Identified<MissionCommand> | undefined> {
    try {
      const { command, assignment, bytes } = await this.claimInTime(state, task, offer);
      if (assignment && offer.admit(bytes)) {
        this.proposed.set(command.command_id, { offer, assignment, bytes });
        return command;
      }
      offer.giveBack();
      // With another answer to a runner there is room for it again.
      return assignment ? undefined : command;
    } catch (error) {
      // An unsigned permit is an alarm; like an absent one it does not start anything.
      offer.giveBack();
      const { mission_id } = state.request;
      const { task_id } = task.plan;
      this.log.warn({ msg: 'task could not be claimed, it waits', mission_id, task_id, error });
      return undefined;
    }
  }

  private async claimInTime(state: ExistingMission, task: TaskState, offer: Offer): Promise<Claimed> {
    const late = Promise.withResolvers<never>();
    const why = `no leave for ${task.plan.task_id} within ${CLAIM_MS_MAX} ms`;
    const timer = setTimeout(() => late.reject(new Unavailable('governance', why)), CLAIM_MS_MAX);
    try {
      return await Promise.race([this.claiming.claim(state, task, offer.runner_id), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  private settled(outcome: 'committed' | 'abandoned', { proposals, kinds }: MissionProposed): void {
    for (const [index, { command_id }] of proposals.entries()) {
      const reserved = this.proposed.get(command_id);
      this.proposed.delete(command_id);
      if (outcome === 'committed' && kinds[index] === 'accepted') reserved?.offer.fill(reserved.assignment);
      else reserved?.offer.giveBack(reserved.bytes);
    }
  }

  /** Lets missions with ready tasks of these workers claim, as long as there are slots. */
  private pump(workers: readonly string[]): void {
    for (const worker of new Set(workers))
      for (const mission_id of this.ready.waitingFor(worker)) {
        // One mission on its way for every slot is enough: each tells of what is left when it is back.
        if (this.nudging.size >= this.offers.slots(worker)) break;
        if (!this.nudging.has(mission_id) && !this.pauses.has(mission_id)) void this.nudge(mission_id);
      }
  }

  private async nudge(mission_id: string): Promise<void> {
    this.nudging.add(mission_id);
    try {
      await this.missions.nudge(mission_id);
    } catch (error) {
      this.log.warn({ msg: 'mission could not be dispatched, will try again', mission_id, error });
      this.pauses.begin(mission_id);
    } finally {
      this.nudging.delete(mission_id);
      this.pump(this.ready.workers);
    }
  }

  private async offering(offer: Offer, where: { first: boolean }, during: () => Promise<void>): Promise<Assignment[]> {
    this.offers.add(offer, where);
    try {
      await during();
    } finally {
      offer.close();
      this.offers.remove(offer);
    }
    return offer.assignments;
  }

  private releaseExpired(): void {
    for (const claim of this.claims.expired(Date.now())) this.release(claim, 'lease_expired');
  }

  private release({ mission_id, task_id, attempt }: Claim, why: 'lease_expired' | 'runner_lost'): void {
    this.claims.forget(mission_id, task_id);
    this.missions.order(mission_id, { type: 'ReleaseTask', data: { task_id, attempt, why } }).then(
      (outcome) => this.log.warn({ msg: 'claim released', mission_id, task_id, attempt, why, kind: outcome.kind }),
      // The log is away or read-only. The sweep of active missions finds the claim again, and its lease runs anew.
      (error: unknown) => this.log.warn({ msg: 'claim not released yet', mission_id, task_id, attempt, error }),
    );
  }

  /** An attempt that no commit known here tells of: it is taken in, or stopped, as the log says. */
  private async lookUp(claim: Claim): Promise<void> {
    const { mission_id } = claim;
    try {
      this.observe(mission_id, (await this.missions.load(mission_id)).state);
      if (!this.claims.holds(claim)) this.stop(claim);
    } catch (error) {
      this.log.warn({ msg: 'attempt not looked up, will be when it is named again', mission_id, error });
    }
  }

  /** Tells a runner, at its next chance or at once when it waits, that an attempt is over. */
  private stop({ runner_id, mission_id, task_id, attempt }: Claim): void {
    const stops = this.stops.get(runner_id) ?? [];
    stops.push({ mission_id, task_id, attempt });
    this.stops.set(runner_id, stops);
    this.offers.ofRunner(runner_id)?.close();
  }

  private takeStops(runner_id: string): AttemptName[] {
    const stops = this.stops.get(runner_id) ?? [];
    this.stops.delete(runner_id);
    return stops;
  }
}
