// What can be typed. The page docs/reference/cli.md is made from these definitions, which therefore import nothing of
// ours but types.

import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { ApprovalStatus, Category, MissionStatus, Rank } from '@nexusmon/client';

export type Globals = Readonly<{
  json?: boolean;
  dataDir?: string;
  url?: string;
  timeout?: number;
  operatorKeyStdin?: true;
}>;

export type Param = Readonly<{ name: string; value: unknown }>;

export type CreateOptions = Readonly<{
  goal: string;
  template?: string;
  param?: readonly Param[];
  plan?: string;
  rank?: Rank;
  category?: Category;
  priority?: number;
  tag?: readonly string[];
  hold?: true;
  wait?: true | number;
  idempotencyKey?: string;
}>;
export type PageOptions = Readonly<{ limit?: number; cursor?: string; all?: true }>;
export type ListOptions = PageOptions & Readonly<{ status?: MissionStatus; rank?: Rank; category?: Category }>;
export type ArtifactPutOptions = Readonly<{
  name?: string;
  mediaType?: string;
  madeFrom?: string[];
  idempotencyKey?: string;
}>;
export type ArtifactListOptions = PageOptions & Readonly<{ mission?: string; name?: string }>;
export type ApprovalListOptions = PageOptions & Readonly<{ status?: ApprovalStatus | 'all'; mission?: string }>;
export type VerbOptions = Readonly<{ reason?: string; idempotencyKey?: string }>;
export type DoctorOptions = Readonly<{ patience?: number }>;
export type RebuildOptions = Readonly<{ all?: true; check?: true }>;
export type RestoreOptions = Readonly<{ reason: string; insteadOf?: string }>;
export type Verb = 'approve' | 'deny' | 'run' | 'cancel';

/** What is done, once it is known what was typed. */
export type Actions = Readonly<{
  createMission: (options: CreateOptions, globals: Globals) => Promise<void>;
  listMissions: (options: ListOptions, globals: Globals) => Promise<void>;
  showMission: (mission_id: string, globals: Globals) => Promise<void>;
  watchMission: (mission_id: string, globals: Globals) => Promise<void>;
  ruleMission: (verb: Verb, mission_id: string, options: VerbOptions, globals: Globals) => Promise<void>;
  listArtifacts: (options: ArtifactListOptions, globals: Globals) => Promise<void>;
  putArtifact: (file: string, options: ArtifactPutOptions, globals: Globals) => Promise<void>;
  getArtifact: (artifact_id: string, options: Readonly<{ output?: string }>, globals: Globals) => Promise<void>;
  listApprovals: (options: ApprovalListOptions, globals: Globals) => Promise<void>;
  showStatus: (globals: Globals) => Promise<void>;
  rebuild: (name: string | undefined, options: RebuildOptions, globals: Globals) => Promise<void>;
  backUp: (target: string, globals: Globals) => Promise<void>;
  restore: (backup: string, options: RestoreOptions, globals: Globals) => Promise<void>;
  examine: (options: DoctorOptions, globals: Globals) => Promise<void>;
  callApi: (method: string, path: string, options: Readonly<{ data?: string }>, globals: Globals) => Promise<void>;
  helpExitCodes: () => void;
}>;

const RANKS = ['E', 'D', 'C', 'B', 'A', 'S'] as const satisfies readonly Rank[];
const CATEGORIES = ['coin', 'forge', 'library', 'sanctuary'] as const satisfies readonly Category[];

const seconds = (text: string): number => {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Give a number of seconds above 0.');
};

const whole = (text: string): number => {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number.');
};

/** `name=text`, or `name:=JSON` for what is no text. */
const param = (text: string, before: readonly Param[] = []): Param[] => {
  const [, name, sign, value = ''] = /^([^=:]+)(:?=)([\s\S]*)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('Give name=text, or name:=JSON.');
  if (sign === '=') return [...before, { name, value }];
  try {
    return [...before, { name, value: JSON.parse(value) as unknown }];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InvalidArgumentError(`What follows := is not JSON: ${error.message}`);
  }
};

const several = (text: string, before: readonly string[] = []): string[] => [...before, text];

const paged = (command: Command): Command =>
  command
    .option('--limit <n>', 'how many at once, 1 to 200', whole)
    .option('--cursor <cursor>', 'go on behind an earlier page')
    .option('--all', 'every page');

const missionId = () => new Argument('<mission_id>', 'as mission list shows it');
const idempotencyKey = () =>
  new Option('--idempotency-key <key>', 'the same key and request mean the same thing, however often they are sent');

const createCommand = (actions: Actions): Command =>
  new Command('create')
    .summary('create a mission')
    .description('Create a mission, and with --wait tell how it ended.')
    .requiredOption('--goal <text>', 'what is to be achieved')
    .option('--template <name>', 'the template that plans it')
    .option('--param <name=value>', 'a parameter; name:=JSON for what is no text; may be repeated', param)
    .option('--plan <file>', 'a plan of your own as JSON; - reads standard input')
    .addOption(new Option('--rank <rank>', 'at least this rank').choices(RANKS))
    .addOption(new Option('--category <category>', 'what it belongs to').choices(CATEGORIES))
    .option('--priority <n>', '-100 to 100', whole)
    .option('--tag <tag>', 'may be repeated', several)
    .option('--hold', 'do not start it before it is told to run')
    .option('--wait [seconds]', 'until it has ended or waits for approval; at most so long', seconds)
    .addOption(idempotencyKey())
    .action((options: CreateOptions, command: Command) =>
      actions.createMission(options, command.optsWithGlobals<Globals>()),
    );

const VERBS: readonly Readonly<{ verb: Verb; summary: string; reason_required: boolean }>[] = [
  { verb: 'approve', summary: 'approve a mission that waits for it', reason_required: false },
  { verb: 'deny', summary: 'deny a mission that waits for approval', reason_required: true },
  { verb: 'run', summary: 'start a mission that is held, through the gate', reason_required: false },
  { verb: 'cancel', summary: 'cancel a mission', reason_required: false },
];

const verbCommand = (actions: Actions, { verb, summary, reason_required }: (typeof VERBS)[number]): Command =>
  new Command(verb)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .addArgument(missionId())
    .addOption(new Option('--reason <text>', 'why; kept in the log').makeOptionMandatory(reason_required))
    .addOption(idempotencyKey())
    .action((mission_id: string, options: VerbOptions, command: Command) =>
      actions.ruleMission(verb, mission_id, options, command.optsWithGlobals<Globals>()),
    );

const missionCommand = (actions: Actions): Command => {
  const mission = new Command('mission').summary('create, follow and rule on missions');
  mission.addCommand(createCommand(actions));
  paged(mission.command('list').summary('list missions, the newest first'))
    .addOption(new Option('--status <status>', 'only those in this state'))
    .addOption(new Option('--rank <rank>', 'only those of this effective rank').choices(RANKS))
    .addOption(new Option('--category <category>', 'only these').choices(CATEGORIES))
    .action((options: ListOptions, command: Command) =>
      actions.listMissions(options, command.optsWithGlobals<Globals>()),
    );
  mission
    .command('show')
    .summary('show a mission, its tasks and its result')
    .addArgument(missionId())
    .action((mission_id: string, _: object, command: Command) =>
      actions.showMission(mission_id, command.optsWithGlobals<Globals>()),
    );
  mission
    .command('watch')
    .summary('follow a mission until it has ended')
    .description(
      'Follow a mission until it has ended; the exit code tells how. In a terminal one block that changes; elsewhere, and with --json, a line per event.',
    )
    .addArgument(missionId())
    .action((mission_id: string, _: object, command: Command) =>
      actions.watchMission(mission_id, command.optsWithGlobals<Globals>()),
    );
  for (const verb of VERBS) mission.addCommand(verbCommand(actions, verb));
  return mission;
};

const artifactCommand = (actions: Actions): Command => {
  const artifact = new Command('artifact').summary('list, fetch and upload artifacts');
  paged(artifact.command('list').summary('list artifacts, the newest first'))
    .option('--mission <mission_id>', 'only those of this mission')
    .option('--name <name>', 'only versions of this name')
    .action((options: ArtifactListOptions, command: Command) =>
      actions.listArtifacts(options, command.optsWithGlobals<Globals>()),
    );
  artifact
    .command('get')
    .summary("fetch an artifact's bytes")
    .description('Fetch the bytes of an artifact. Nothing is kept whose SHA-256 is not the recorded one.')
    .argument('<artifact_id>', 'as artifact list shows it')
    .option('-o, --output <file>', 'where to; default: standard output')
    .action((artifact_id: string, options: { output?: string }, command: Command) =>
      actions.getArtifact(artifact_id, options, command.optsWithGlobals<Globals>()),
    );
  artifact
    .command('put')
    .summary('upload a file')
    .description('Upload a file as the next version of a name. It is read while it is sent, and may have any size.')
    .argument('<file>', 'the file')
    .option('--name <name>', "the artifact's name; default: the file's own")
    .option('--media-type <type>', 'what it is, such as text/markdown')
    .option('--made-from <artifact_id...>', 'artifacts that it was made from')
    .addOption(idempotencyKey())
    .action((file: string, options: ArtifactPutOptions, command: Command) =>
      actions.putArtifact(file, options, command.optsWithGlobals<Globals>()),
    );
  return artifact;
};

const backupCommands = (actions: Actions): Command[] => [
  new Command('backup')
    .summary('take a backup of an instance, running or not')
    .description(
      'Take a backup: the log, the wrapped data keys and the blobs, each with its digest. The instance may run. The ' +
        'master secret and the operator key are not in it.',
    )
    .argument('<folder>', 'where to; it must not be there yet')
    .action((target: string, _: object, command: Command) =>
      actions.backUp(target, command.optsWithGlobals<Globals>()),
    ),
  new Command('restore')
    .summary('put a backup back, into a new data folder')
    .description(
      'Put a backup back into the folder of --data-dir, which may hold nothing but master.secret and operator.key. That ' +
        'it was done, why, and what is lost is signed with the operator key and is the first new event of the log.',
    )
    .argument('<backup>', 'the folder that backup made')
    .requiredOption('--reason <text>', 'why; kept in the log')
    .option('--instead-of <folder>', 'the data folder whose place it takes: tells which events are lost')
    .action((backup: string, options: RestoreOptions, command: Command) =>
      actions.restore(backup, options, command.optsWithGlobals<Globals>()),
    ),
];

const otherCommands = (actions: Actions): Command[] => [
  paged(new Command('approvals').summary('list approvals: what waits for a person'))
    .addOption(
      new Option('--status <status>', 'which').choices(APPROVAL_STATUSES).default('pending', 'those that wait'),
    )
    .option('--mission <mission_id>', 'only those of this mission')
    .action((options: ApprovalListOptions, command: Command) =>
      actions.listApprovals(options, command.optsWithGlobals<Globals>()),
    ),
  new Command('status')
    .summary('how the organism stands')
    .action((_: object, command: Command) => actions.showStatus(command.optsWithGlobals<Globals>())),
  new Command('rebuild')
    .summary('build a projection again from the log')
    .description(
      'Build a projection again beside the one in force, compare both by digest at one position, and swap it in.',
    )
    .argument('[name]', 'as GET /v1/system/projections lists it')
    .option('--all', 'each, one after the other')
    .option('--check', 'compare, and leave the one in force')
    .action((name: string | undefined, options: RebuildOptions, command: Command) =>
      actions.rebuild(name, options, command.optsWithGlobals<Globals>()),
    ),
  new Command('doctor')
    .summary('run a mission and check that the system tells of it')
    .description(
      'Run a real mission and check that it completes, that every process tells its figures, that the events of the ' +
        'mission come, and that no event loop is busy while there is nothing to do. It checks the stack of --data-dir, ' +
        'NEXUSMON_DATA or --url; without them a temporary one, which it starts and ends. wall_ms is the time of the check.',
    )
    .option('--patience <seconds>', 'how long the mission may take; 30', seconds)
    .action((options: DoctorOptions, command: Command) => actions.examine(options, command.optsWithGlobals<Globals>())),
  new Command('api')
    .summary('send any request')
    .description('Send a request and print what is answered. GET /docs describes all routes.')
    .argument('<method>', 'GET, POST, …')
    .argument('<path>', 'from the root, such as /v1/workers')
    .option('-d, --data <body>', 'the body; @file reads a file, - standard input')
    .action((method: string, path: string, options: { data?: string }, command: Command) =>
      actions.callApi(method, path, options, command.optsWithGlobals<Globals>()),
    ),
];

const APPROVAL_STATUSES = ['pending', 'cooling_off', 'granted', 'denied', 'expired', 'withdrawn', 'all'];

const TOPIC = 'exit-codes';

const helpCommand = (program: Command, actions: Actions): Command =>
  new Command('help')
    .summary(`help for a command, or on ${TOPIC}`)
    .argument('[command...]', `a command, or ${TOPIC}`)
    .action((words: readonly string[]) => {
      if (words.length === 1 && words[0] === TOPIC) return actions.helpExitCodes();
      let found = program;
      for (const word of words) {
        const next = found.commands.find((command) => command.name() === word);
        if (!next) program.error(`nexusmon: there is no command ${words.join(' ')}`);
        else found = next;
      }
      found.outputHelp();
    });

/** Nothing ends the process or speaks for itself: whoever parses decides how it is told. */
const throwing = (command: Command): void => {
  command
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  for (const one of command.commands) throwing(one);
};

export const makeProgram = (actions: Actions, version: string): Command => {
  const program = new Command('nexusmon')
    .description('Missions under governance, from a terminal.')
    .version(version)
    .helpCommand(false)
    .option('--json', 'standard output is JSON: what the gateway answers, or its problem document')
    .option('--data-dir <path>', 'the stack that runs on this data folder')
    .option('--url <url>', 'a gateway elsewhere; the credential comes from NEXUSMON_TOKEN or the operator key')
    .option('--timeout <seconds>', 'give up after so long', seconds)
    .option('--operator-key-stdin', 'read the operator key from standard input')
    .addHelpText('after', '\nExit codes: nexusmon help exit-codes');
  const commands = [missionCommand(actions), artifactCommand(actions), ...otherCommands(actions)];
  for (const command of [...commands, ...backupCommands(actions)]) program.addCommand(command);
  program.addCommand(helpCommand(program, actions));
  throwing(program);
  return program;
};
