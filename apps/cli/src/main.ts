// The command line's process.
//
//   M1. SIGINT and SIGTERM call off what is under way and end with 130 and 143; a second one ends at once.
//   M2. A reader that has gone is no fault: the rest is not written.

import { CommanderError } from 'commander';
import { getArtifact, listArtifacts, putArtifact } from './artifacts.js';
import { backUp, restore } from './backup.js';
import { examine } from './doctor.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { CliFault, hasCode } from './fault.js';
import { createMission, listMissions, ruleMission, showMission, watchMission } from './missions.js';
import { callApi, exitCodesText, listApprovals, showStatus } from './others.js';
import { makeProgram, type Actions, type DoctorOptions, type Globals } from './program.js';
import { rebuild } from './rebuild.js';
import { Run } from './session.js';
import { withTemporaryStack } from './temporary-stack.js';
import { VERSION } from './version.js';

const actionsOf = (run: Run): Actions => ({
  createMission: (options, globals) => createMission(run.open(globals), options),
  listMissions: (options, globals) => listMissions(run.open(globals), options),
  showMission: (mission_id, globals) => showMission(run.open(globals), mission_id),
  watchMission: (mission_id, globals) => watchMission(run.open(globals), mission_id),
  ruleMission: (verb, mission_id, options, globals) => ruleMission(run.open(globals), verb, mission_id, options),
  listArtifacts: (options, globals) => listArtifacts(run.open(globals), options),
  putArtifact: (file, options, globals) => putArtifact(run.open(globals), file, options),
  getArtifact: (artifact_id, options, globals) => getArtifact(run.open(globals), artifact_id, options),
  listApprovals: (options, globals) => listApprovals(run.open(globals), options),
  showStatus: (globals) => showStatus(run.open(globals)),
  rebuild: (name, options, globals) => rebuild(run.open(globals), name, options),
  backUp: (target, globals) => backUp(run, target, globals),
  restore: (backup, options, globals) => restore(run, backup, options, globals),
  examine: (options, globals) => examineSomewhere(run, options, globals),
  callApi: (method, path, options, globals) => callApi(run.open(globals), method, path, options),
  helpExitCodes: () => void process.stdout.write(exitCodesText()),
});

/** What is named is checked, and what is merely near is not: then a stack is made for the check. */
const examineSomewhere = async (run: Run, options: DoctorOptions, globals: Globals): Promise<void> => {
  if (globals.url !== undefined || globals.dataDir !== undefined || run.environment.data_dir !== undefined)
    return examine(run.open(globals), options);
  const output = run.outputFor(globals);
  await withTemporaryStack(output, run.signal, (dataDir) => examine(run.open({ ...globals, dataDir }), options));
};

const SIGNALS = [
  ['SIGINT', EXIT.interrupted],
  ['SIGTERM', EXIT.terminated],
] as const;

const listen = (run: Run): void => {
  for (const [signal, exit] of SIGNALS)
    process.on(signal, () => {
      if (run.signal.aborted) process.exit(exit);
      run.end(exit, `ended by ${signal}`);
    });
  process.stdout.on('error', (error: unknown) => {
    if (!hasCode(error, 'EPIPE')) throw error;
    process.exit(process.exitCode ?? EXIT.ok);
  });
};

/** Help that nobody asked for is shown where a command is missing, which is then all there is to say. */
const usageOf = ({ code, message }: CommanderError): CliFault | undefined =>
  code === 'commander.help'
    ? undefined
    : new CliFault({
        code: 'usage',
        what: message.replace(/^error: /, ''),
        next: 'nexusmon help',
        exit: EXIT.usage,
      });

const failed = (run: Run, error: unknown, json: boolean): ExitCode => {
  if (!(error instanceof CommanderError)) return run.outputFor({ json }).fail(error);
  if (error.exitCode === 0) return EXIT.ok;
  const fault = usageOf(error);
  return fault ? run.outputFor({ json }).fail(fault) : EXIT.usage;
};

const main = async (): Promise<void> => {
  const run = new Run();
  listen(run);
  const program = makeProgram(actionsOf(run), VERSION);
  // Known before anything is understood: what is not understood is told in JSON, too.
  const json = process.argv.includes('--json');
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = failed(run, error, json);
  }
  try {
    await run.close();
  } catch (error) {
    run.outputFor({ json }).say(error instanceof Error ? error.message : String(error));
    process.exitCode ??= EXIT.failure;
  }
};

await main();
