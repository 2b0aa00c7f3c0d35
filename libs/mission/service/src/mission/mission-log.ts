// The one way in which this service changes a mission. Every commit made here is told to whoever keeps a cache over
// missions, before the command is answered.

import { Injectable } from '@nestjs/common';
import {
  EventLog,
  newId,
  type ExecuteOptions,
  type FollowUp,
  type Identified,
  type Loaded,
  type Outcome,
  type Untimed,
} from '@nexusmon/event-log';
import type { Mission, MissionCommand, MissionRejection } from '@nexusmon/mission-domain';
import type { Asked } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import { missionAggregate } from './mission.aggregate.js';
import { MissionTraces } from './mission-traces.js';

/** Whom the commands of this service itself come from. */
export const SERVICE = 'service:mission';

type Unsigned<Command> = Command extends MissionCommand ? Omit<Command, 'actor' | 'time'> : never;
/** A command without who and when. */
export type Order = Unsigned<MissionCommand>;
export type MissionOutcome = Outcome<Mission, MissionRejection>;
export type CommitObserver = (mission_id: string, state: Mission, position: string) => void;

/** What only the command that creates a mission has. */
export type Creating = Pick<ExecuteOptions, 'key_id' | 'is_new'>;

const signed = (order: Order, actor: string): Untimed<MissionCommand> => ({ ...order, actor });

/** A command of the service itself: a repeat of it is refused by the rules, not by its id. */
export const ownCommand = (mission_id: string, order: Order): Identified<MissionCommand> => ({
  command_id: newId('cmd'),
  correlation_id: mission_id,
  command: signed(order, SERVICE),
  traceparent: traceparent(),
});

@Injectable()
export class MissionLog {
  private readonly observers: CommitObserver[] = [];

  constructor(
    private readonly log: EventLog,
    private readonly traces: MissionTraces,
  ) {}

  /** `follow_up` says which tasks a mission can claim in the commit that is being decided. */
  followWith(follow_up: FollowUp<Mission, MissionCommand>): void {
    this.log.register(missionAggregate, { follow_up });
  }

  observe(observer: CommitObserver): void {
    this.observers.push(observer);
  }

  /** `asked` names the request that the command answers to. */
  ask(mission_id: string, asked: Asked, order: Order, creating: Creating = {}): Promise<MissionOutcome> {
    const { actor, command_id, request_digest } = asked;
    const command = signed(order, actor);
    const identified = { command_id, request_digest, correlation_id: mission_id, command };
    return this.execute(mission_id, () => ({ ...identified, traceparent: traceparent() }), creating);
  }

  /** A command of this service's own. */
  order(mission_id: string, order: Order): Promise<MissionOutcome> {
    return this.execute(mission_id, () => ownCommand(mission_id, order), {});
  }

  /** Does what is due, and lets the mission claim what it can. */
  nudge(mission_id: string): Promise<MissionOutcome> {
    const tick = () => ownCommand(mission_id, { type: 'Tick', data: {} });
    return this.execute(mission_id, tick, { propose: true });
  }

  /** The mission as the leader of the log has it now. */
  load(mission_id: string): Promise<Loaded<Mission>> {
    return this.log.load(missionAggregate, mission_id);
  }

  knows(mission_id: string, command_id: string): Promise<boolean> {
    return this.log.knows(missionAggregate, mission_id, command_id);
  }

  /** `command` is made in the mission's trace, and all that follows from it happens there. */
  private execute(
    mission_id: string,
    command: () => Identified<MissionCommand>,
    options: ExecuteOptions,
  ): Promise<MissionOutcome> {
    return this.traces.within(mission_id, async () => {
      const outcome = await this.log.execute(missionAggregate, mission_id, command(), options);
      for (const observer of this.observers) observer(mission_id, outcome.state, outcome.position);
      return outcome;
    });
  }
}
