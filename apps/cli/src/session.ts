// One command, from what was typed to how it ends.

import { NexusmonClient } from '@nexusmon/client';
import { readCommandLine, type CommandLineEnvironment } from '@nexusmon/config';
import { credentialOf } from './credential.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { Ended } from './fault.js';
import { Gateway } from './gateway.js';
import { operatorKeyFrom } from './operator-key.js';
import { Output } from './output.js';
import { findPlace, type Place } from './place.js';
import type { Globals } from './program.js';
import { USER_AGENT } from './version.js';

const MILLISECONDS = 1_000;
/** What is still sent after an interruption must not hold up the end. */
const FAREWELL_MS_MAX = 2_000;

export type Session = Readonly<{
  output: Output;
  gateway: Gateway;
  /** Aborted when the command is to end at once. */
  signal: AbortSignal;
  endWith: (exit: ExitCode) => void;
}>;

export class Run {
  readonly environment: CommandLineEnvironment = readCommandLine();
  private readonly ending = new AbortController();
  private opened: Gateway | undefined;
  private output: Output | undefined;

  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** Everything under way is called off; the reason says how to end. */
  end(exit: ExitCode, why: string): void {
    this.ending.abort(new Ended(exit, why));
  }

  outputFor({ json = false }: Globals): Output {
    const { no_color } = this.environment;
    return (this.output ??= new Output({ out: process.stdout, err: process.stderr, json, no_color }));
  }

  begin(globals: Globals): void {
    const { timeout } = globals;
    if (timeout === undefined) return;
    const late = () => this.end(EXIT.timeout, `not done within ${timeout} s`);
    setTimeout(late, timeout * MILLISECONDS).unref();
  }

  open(globals: Globals): Session {
    const { environment, signal } = this;
    const output = this.outputFor(globals);
    this.begin(globals);
    const place = findPlace({ url: globals.url, data_dir: globals.dataDir }, environment, process.cwd());
    const gateway = this.gatewayAt(place, globals);
    return { output, gateway, signal, endWith: (exit) => (process.exitCode = exit) };
  }

  gatewayAt(place: Place, globals: Globals): Gateway {
    const { environment, signal } = this;
    const operatorKey = operatorKeyFrom({
      file: place.operator_key_file,
      environment: environment.operator_key,
      from_stdin: globals.operatorKeyStdin === true,
      stdin: process.stdin,
      err: process.stderr,
    });
    const headers = () => ({ 'user-agent': USER_AGENT });
    const client = new NexusmonClient({ url: place.url, headers, signal });
    const farewell = () =>
      new NexusmonClient({ url: place.url, headers, signal: AbortSignal.timeout(FAREWELL_MS_MAX) });
    const credential = credentialOf({ client, farewell, place, operatorKey, token: environment.token });
    this.opened = new Gateway({ client, credential, operatorKey });
    return this.opened;
  }

  async close(): Promise<void> {
    await this.opened?.close();
  }
}
