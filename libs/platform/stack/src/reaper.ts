// Ends our processes when we are killed and cannot.
//
// A shell of a few hundred kilobytes waits on a pipe from us. Each line it reads is the whole list of `pid:start`; when
// the pipe ends without the word `stop`, we are gone, and it asks every process on the last list to end. SIGINT is what
// all of ours take as "end now": PostgreSQL closes its connections, where SIGTERM would wait for them. A start that
// follows cleans up as well (leftovers.ts): this only shortens the time during which nobody is in charge.

import { spawn } from 'node:child_process';
import { isAlive, recordOf, type ProcessRecord } from './identity.js';

const SCRIPT = `
list=
while read -r line; do
  [ "$line" = stop ] && exit 0
  list=$line
done
for entry in $list; do
  pid=\${entry%%:*}
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
  set -- \${stat##*)}
  [ "\${20}" = "\${entry##*:}" ] && kill -INT "$pid"
done
exit 0
`;

export type Reaper = Readonly<{ update: (records: readonly ProcessRecord[]) => void; dismiss: () => void }>;

/** Only where /proc tells when a process started; elsewhere the next start cleans up. */
export const startReaper = (): Reaper => {
  if (process.platform !== 'linux') return { update: () => undefined, dismiss: () => undefined };
  const shell = spawn('sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/', env: {} });
  const self = shell.pid === undefined ? undefined : recordOf('reaper', shell.pid);
  // Without its reaper a supervisor works as well; the pipe's fault must not end it.
  let attached = true;
  const detach = () => {
    attached = false;
  };
  shell.on('error', detach);
  shell.stdin.on('error', detach);
  shell.unref();
  const write = (line: string) => {
    if (attached && self && isAlive(self)) shell.stdin.write(`${line}\n`);
  };
  return {
    update: (records) => write(records.map(({ pid, started }) => `${pid}:${started}`).join(' ')),
    dismiss: () => {
      write('stop');
      shell.stdin.end();
    },
  };
};
