// The process that `npm start` leaves running. When whoever would hand it signals has gone, nobody could stop it any
// more: then it stops.

import { StartFault } from './fault.js';
import { consoleReport, sayReadOnly, type Report } from './report.js';
import { servicesOf } from './services.js';
import type { Settings } from './settings.js';
import { supervise, type RunFile, type Stack } from './supervisor.js';

const EXIT_FAULT = 1;
const PARENT_CHECK_MS = 100;

/** A reader of our output that went away must not end the stack. */
const write = (line: string): void => {
  if (process.stdout.writable) process.stdout.write(`${line}\n`);
};

const MISSION = { goal: 'Report on this folder', template: 'repository-report', params: { path: '$PWD' } };
/** For a shell: between double quotes, so that it puts its own folder in. */
const inQuotes = (value: object): string => JSON.stringify(value).replaceAll('"', '\\"');

const welcome = ({ gateway_url, operator_key_file }: RunFile): string => `
  gateway       ${gateway_url}        (API pages: ${gateway_url}/docs)
  operator key  ${operator_key_file}

  What to type next, in another terminal:

    TOKEN=$(curl -s ${gateway_url}/v1/auth/login -H 'content-type: application/json' \\
      -d "{\\"operator_key\\":\\"$(cat '${operator_key_file}')\\"}" | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')

    curl -s ${gateway_url}/v1/engine/missions -H "authorization: Bearer $TOKEN" \\
      -H 'content-type: application/json' -H 'prefer: wait=60' \\
      -d "${inQuotes(MISSION)}"

  Ctrl-C stops everything.
`;

const announce = (report: Report, { json, began_at }: Settings, stack: Stack): void => {
  const elapsed_ms = Date.now() - began_at;
  const run = stack.run();
  const read_only = stack.read_only();
  if (Object.keys(read_only).length > 0) sayReadOnly(report, read_only);
  const { gateway_url, operator_key_file, pids } = run;
  if (json) report.say('ready', gateway_url, { gateway_url, operator_key_file, pids, elapsed_ms });
  write(`ready ${gateway_url} (${(elapsed_ms / 1_000).toFixed(1)} s)`);
  if (!json) write(welcome(run));
};

export type Started = Settings &
  Readonly<{
    /** The process without which nobody could stop this one. */
    parent?: number;
  }>;

/** A process whose parent has gone belongs to another. */
const onOrphaned = (parent: number | undefined, stop: () => void): void => {
  if (parent === undefined) return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, PARENT_CHECK_MS).unref();
};

const keepUp = async ({ parent, ...settings }: Started): Promise<void> => {
  const report = consoleReport(settings.json, write);
  const ending = new AbortController();
  const wanted = new Promise<string>((resolve) => {
    process.on('SIGINT', () => resolve('SIGINT'));
    process.on('SIGTERM', () => resolve('SIGTERM'));
    process.on('SIGHUP', () => resolve('SIGHUP'));
    onOrphaned(parent, () => resolve('the end of the process that started it'));
  });
  void wanted.then((cause) => ending.abort(new StartFault(`stopped by ${cause}`)));
  try {
    const services = servicesOf(settings.root, settings.separate);
    const stack = await supervise({ ...settings, node: process.execPath, services, report, signal: ending.signal });
    announce(report, settings, stack);
    const cause = await wanted;
    report.say('stopping', `stopping (${cause})`);
    await stack.stop();
    report.say('stopped', 'stopped');
  } catch (error) {
    if (ending.signal.aborted) return;
    if (settings.json && error instanceof StartFault) report.say('failed', error.message);
    throw error;
  }
};

const explain = (error: unknown): string => {
  if (error instanceof StartFault) return `nexusmon: ${error.message}`;
  return `nexusmon: an unexpected fault\n${error instanceof Error ? error.stack : String(error)}`;
};

/** Ends the process: with 0 when it was stopped. */
export const main = async (started: Started): Promise<never> => {
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  process.title = 'nexusmon supervisor';
  try {
    await keepUp(started);
    return process.exit(0);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return process.exit(EXIT_FAULT);
  }
};
