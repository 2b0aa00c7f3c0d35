// The product's services as simulated processes: every class here is the product's own, wired as its modules wire it.
// Only what lies below them is the machine's.

import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { readConfig, type ContextSecrets } from '@nexusmon/config';
import type { Aggregate, EventLog, ExecuteOptions, FollowUp, Identified, LogCorrupted } from '@nexusmon/event-log';
import { GOVERNANCE_SUBJECTS } from '@nexusmon/governance-contract';
import type { Message, Rejection } from '@nexusmon/kernel';
import type { Keyring } from '@nexusmon/keys';
import { MessageClient, Unavailable, type RequestMux } from '@nexusmon/messaging';
import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import type { Projections } from '@nexusmon/projections';
import type { Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { EvolutionServiceModule } from '../../libs/evolution/service/src/evolution-service.module.js';
import { StageChanges } from '../../libs/evolution/service/src/stage/stage-changes.js';
import { ApprovalCommandHandler } from '../../libs/governance/service/src/approval/approval.command-handler.js';
import { Approvals } from '../../libs/governance/service/src/approval/approvals.js';
import { GovernanceDerivations } from '../../libs/governance/service/src/derivations.js';
import { Gate } from '../../libs/governance/service/src/gate/gate.js';
import { GateQueryHandler } from '../../libs/governance/service/src/gate/gate.query-handler.js';
import { Signer } from '../../libs/governance/service/src/gate/signer.js';
import { ApprovalFigures } from '../../libs/governance/service/src/telemetry.js';
import { MissionDerivations } from '../../libs/mission/service/src/derivations.js';
import { Claiming } from '../../libs/mission/service/src/dispatch/claiming.js';
import { Dispatcher } from '../../libs/mission/service/src/dispatch/dispatcher.js';
import { Governance } from '../../libs/mission/service/src/dispatch/governance.client.js';
import { Recovery } from '../../libs/mission/service/src/dispatch/recovery.js';
import { RunnerCommandHandler } from '../../libs/mission/service/src/dispatch/runner.command-handler.js';
import { Enclosures } from '../../libs/mission/service/src/enclosure/enclosures.js';
import { ApprovalRequests } from '../../libs/mission/service/src/mission/approval-requests.js';
import { Endings } from '../../libs/mission/service/src/mission/endings.js';
import { MissionCommandHandler } from '../../libs/mission/service/src/mission/mission.command-handler.js';
import { MissionDocuments } from '../../libs/mission/service/src/mission/mission-documents.js';
import { MissionLog } from '../../libs/mission/service/src/mission/mission-log.js';
import type { MissionTraces } from '../../libs/mission/service/src/mission/mission-traces.js';
import { Missions } from '../../libs/mission/service/src/mission/missions.js';
import { WorkerCatalog } from '../../libs/mission/service/src/planning/catalog.js';
import { Planner } from '../../libs/mission/service/src/planning/planner.js';
import { Outputs } from '../../libs/mission/service/src/vault/outputs.js';
import { Vault } from '../../libs/mission/service/src/vault/vault.client.js';
import { AggregateLog, type LogPorts } from '../../libs/platform/event-log/src/aggregate-log.js';
import { Tables } from './database.js';
import { Commits, Derivations } from './derived.js';
import { LogServer, STREAM } from './log-server.js';
import type { Machine, Process } from './machine.js';

const LOG = silentLogger();
const CONFIG = readConfig({});
const CATALOG = new WorkerCatalog();
const KEY = createSecretKey(Buffer.alloc(32, 7));
const { privateKey } = generateKeyPairSync('ed25519');
const SECRETS = {
  permit_private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
} as unknown as ContextSecrets;
/** One key, never destroyed. */
const KEYRING = {
  take: () => Promise.resolve('key_simulated'),
  get: () => Promise.resolve(KEY),
  peek: () => ({ key: KEY }),
} as unknown as Keyring;

const SIGNER = new Signer(SECRETS);
/** Nobody looks at the traces of a simulation. */
const TRACES = {
  begin: () => undefined,
  within: (_mission_id: string, work: () => Promise<unknown>) => work(),
} as unknown as MissionTraces;

type Handle = (request: never) => Promise<Reply<unknown>>;
export type Context = 'mission' | 'governance' | 'evolution';

/** One process with all its memory. `handlers`: what it answers, by subject. */
export type Service = Readonly<{
  process: Process;
  context: Context;
  handlers: ReadonlyMap<string, Handle>;
  derivations: Derivations;
  /** Gives back what belongs to the process that simulates, such as gauges. */
  forget: () => void;
}>;

export class World {
  readonly server: LogServer;
  readonly commits: Commits;
  readonly tables: Readonly<Record<Context, Tables>>;
  readonly services: Service[] = [];
  /** What was found to be wrong by the product itself. */
  readonly corrupted: LogCorrupted[] = [];
  /** What went wrong where nobody is told. */
  readonly faults: string[] = [];
  private asked = 0;

  constructor(readonly machine: Machine) {
    this.server = new LogServer(machine);
    this.commits = new Commits(this.server, KEYRING);
    const tables = () => new Tables(machine);
    this.tables = { mission: tables(), governance: tables(), evolution: tables() };
  }

  readonly fault = (what: string): void => void this.faults.push(what);

  start(process: Process, context: Context): void {
    const build = { mission: missionService, governance: governanceService, evolution: evolutionService }[context];
    const service = this.machine.as(process, () => build(this, process));
    this.services.push(service);
    this.machine.as(process, () => service.derivations.start());
  }

  alive(context: Context): readonly Service[] {
    return this.services.filter((service) => service.context === context && service.process.alive);
  }

  /** Asks whoever serves a subject, over the network: both ways take a step, and both ends may be gone by then. */
  async ask<Answer>(subject: string, request: unknown): Promise<Reply<Answer>> {
    await this.machine.transit(`asks ${subject}`);
    const context = subject.split('.')[1] as Context;
    const serving = this.alive(context);
    this.asked += 1;
    const service = serving[this.asked % Math.max(1, serving.length)];
    const handle = service?.handlers.get(subject);
    if (!service || !handle) throw new Unavailable(context, 'nobody answers');
    const answer = await this.machine.as(service.process, () => handle(request as never));
    await this.machine.transit(`answers ${subject}`);
    return answer as Reply<Answer>;
  }

  /** The messages of a process. What has died since is not told. */
  clientOf(process: Process): MessageClient {
    return new MessageClient({} as RequestMux, (subject, body, take) =>
      this.ask(subject, body).then(
        async (reply) => take(await this.heard(process, reply)),
        async (error: unknown) => {
          throw await this.heard(process, error);
        },
      ),
    );
  }

  /** A process that ends in order gives back what is not its own. */
  close(): void {
    for (const { forget, process } of this.services) this.machine.as(process, forget);
  }

  private heard<Answer>(process: Process, answer: Answer): Promise<Answer> {
    return process.alive ? Promise.resolve(answer) : new Promise<never>(() => undefined);
  }

  /** The product's log of each aggregate, on the simulated server. */
  logOf(process: Process): EventLog {
    const held = new Map<string, unknown>();
    const stream = this.server.streamOf(process);
    const ports: LogPorts = {
      ...{ streamOf: () => stream, incarnationOf: () => STREAM.incarnation, keyring: KEYRING, held },
      now_ms: () => this.machine.now_ms,
      writable: () => Promise.resolve(),
      stalled: () => Promise.resolve(undefined),
      appended: () => undefined,
      corrupted: (error) => void this.corrupted.push(error),
    };
    const logs = new Map<object, AggregateLog<unknown, Message, Message, Rejection>>();
    const of = (aggregate: Aggregate<unknown, Message, Message, Rejection>) => {
      const log = logs.get(aggregate) ?? new AggregateLog(aggregate, ports);
      logs.set(aggregate, log);
      return log;
    };
    type Any = Aggregate<unknown, Message, Message, Rejection>;
    const log = {
      register: (aggregate: Any, { follow_up }: { follow_up: FollowUp<unknown, Message> }) =>
        of(aggregate).followWith(follow_up),
      execute: async (aggregate: Any, id: string, identified: Identified<Message>, options: ExecuteOptions = {}) =>
        of(aggregate).execute(id, identified, options),
      load: async (aggregate: Any, id: string) => of(aggregate).load(id),
      knows: async (aggregate: Any, id: string, command_id: string) => of(aggregate).knows(id, { command_id }),
    };
    return log as unknown as EventLog;
  }
}

const missionService = (world: World, process: Process): Service => {
  const tables = world.tables.mission;
  const { database } = tables;
  const client = world.clientOf(process);
  const derivations = new Derivations(process, world.machine, world.commits, tables, world.fault);
  const log = new MissionLog(world.logOf(process), TRACES);
  const governance = new Governance(client);
  const vault = new Vault(client);
  const enclosures = new Enclosures(vault, KEYRING);
  const approvals = new ApprovalRequests(governance, enclosures, LOG);
  const endings = new Endings(log);
  const documents = new MissionDocuments(enclosures);
  const planner = new Planner(CONFIG, CATALOG);
  const missions = new Missions(log, planner, governance, approvals, KEYRING, endings, TRACES, documents, enclosures);
  const claiming = new Claiming(governance, CATALOG, new Outputs(vault), enclosures, CONFIG);
  const dispatcher = new Dispatcher(log, CATALOG, claiming, LOG);
  const projections = { caughtUp: () => derivations.caughtUp } as unknown as Projections;
  const recovery = new Recovery(projections, database, log, dispatcher, LOG);
  new MissionDerivations(derivations.derived, log, missions, approvals, governance);
  recovery.onApplicationBootstrap();
  const verbs = new MissionCommandHandler(missions, TRACES);
  const runners = new RunnerCommandHandler(dispatcher);
  const handlers = new Map<string, Handle>([
    [MISSION_SUBJECTS.create, (request) => verbs.create(request)],
    [MISSION_SUBJECTS.run, (request) => verbs.run(request)],
    [MISSION_SUBJECTS.approve, (request) => verbs.approve(request)],
    [MISSION_SUBJECTS.deny, (request) => verbs.deny(request)],
    [MISSION_SUBJECTS.cancel, (request) => verbs.cancel(request)],
    [MISSION_SUBJECTS.poll, (request) => runners.poll(request)],
    [MISSION_SUBJECTS.report, (request) => runners.report(request)],
  ]);
  const forget = () => {
    recovery.onModuleDestroy();
    dispatcher.onModuleDestroy();
  };
  return { process, context: 'mission', handlers, derivations, forget };
};

const governanceService = (world: World, process: Process): Service => {
  const tables = world.tables.governance;
  const { database } = tables;
  const derivations = new Derivations(process, world.machine, world.commits, tables, world.fault);
  const approvals = new Approvals(world.logOf(process));
  const gate = new GateQueryHandler(new Gate(approvals, SIGNER, CONFIG));
  const rulings = new ApprovalCommandHandler(approvals);
  const figures = new ApprovalFigures(database);
  new GovernanceDerivations(derivations.derived, database, approvals, figures);
  const handlers = new Map<string, Handle>([
    [GOVERNANCE_SUBJECTS.judge, (request) => gate.judge(request)],
    [GOVERNANCE_SUBJECTS.authorize, (request) => gate.authorize(request)],
    [GOVERNANCE_SUBJECTS.request_approval, (request) => rulings.request(request)],
    [GOVERNANCE_SUBJECTS.grant, (request) => rulings.grant(request)],
    [GOVERNANCE_SUBJECTS.deny, (request) => rulings.deny(request)],
    [GOVERNANCE_SUBJECTS.withdraw, (request) => rulings.withdraw(request)],
    // As ApprovalQueryHandler answers it; its lists need a database.
    [GOVERNANCE_SUBJECTS.get, ({ approval_id }: { approval_id: string }) => approvals.get(approval_id)],
  ]);
  return { process, context: 'governance', handlers, derivations, forget: () => figures.onModuleDestroy() };
};

const evolutionService = (world: World, process: Process): Service => {
  const tables = world.tables.evolution;
  const derivations = new Derivations(process, world.machine, world.commits, tables, world.fault);
  new EvolutionServiceModule(derivations.derived, new StageChanges(world.logOf(process), tables.database));
  return { process, context: 'evolution', handlers: new Map(), derivations, forget: () => undefined };
};
