// What a start does once with the clients of all three servers, in a process that ends when it is done: what they take
// of memory would otherwise be kept for as long as the supervisor lives.
//
//   W1. It is started before it is needed: when the servers are up, it has been loaded.
//   W2. It ends when it is told to, when it is called off and when the supervisor is gone.
//   W3. What a person can put right is told as that, whichever process found it.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { StartFault } from './fault.js';
import { tail } from './log-files.js';
import type { migrate, MigrationOptions } from './migrations.js';
import type { provision, ProvisionOptions } from './provision.js';

/** The process is ours as it was built, also where this file is read from its source. */
const SCRIPT = fileURLToPath(new URL('../dist/provisioner-main.js', import.meta.url));

export type Works = Readonly<{ provision: typeof provision; migrate: typeof migrate }>;

export type Task =
  Readonly<{ work: 'provision'; options: ProvisionOptions }> | Readonly<{ work: 'migrate'; options: MigrationOptions }>;

export type Done = Readonly<{ value: unknown } | { fault: string } | { error: string }>;

export type Provisioner = Readonly<{
  provision: (options: ProvisionOptions) => ReturnType<typeof provision>;
  migrate: (options: MigrationOptions) => ReturnType<typeof migrate>;
  end: () => Promise<void>;
}>;

export type ProvisionerOptions = Readonly<{
  node: string;
  env: Readonly<Record<string, string>>;
  cwd: string;
  log_file: string;
  signal: AbortSignal;
}>;

export const startProvisioner = (options: ProvisionerOptions): Provisioner => {
  const { node, env, cwd, log_file, signal } = options;
  const log = openSync(log_file, 'a', 0o600);
  const child = fork(SCRIPT, { execPath: node, execArgv: [], env, cwd, stdio: ['ignore', log, log, 'ipc'] });
  closeSync(log);
  const exited = once(child, 'exit').then(
    () => new Error(`provisioning ended before it was done; ${log_file} ends with:\n${tail(log_file)}`),
    (error: unknown) => new Error('provisioning could not be started', { cause: error }),
  );
  const callOff = () => child.kill('SIGKILL');
  signal.addEventListener('abort', callOff, { once: true });

  const have = async (task: Task): Promise<unknown> => {
    signal.throwIfAborted();
    const answer = once(child, 'message') as Promise<[Done]>;
    // One that could not be told has ended, which is heard of as well.
    child.send(task, () => undefined);
    const done = await Promise.race([answer, exited]);
    signal.throwIfAborted();
    if (done instanceof Error) throw done;
    if ('fault' in done[0]) throw new StartFault(done[0].fault);
    if ('error' in done[0]) throw new Error(done[0].error);
    return done[0].value;
  };

  return {
    provision: (asked) => have({ work: 'provision', options: asked }) as ReturnType<typeof provision>,
    migrate: (asked) => have({ work: 'migrate', options: asked }) as ReturnType<typeof migrate>,
    end: async () => {
      signal.removeEventListener('abort', callOff);
      if (child.connected) child.disconnect();
      await exited;
    },
  };
};
