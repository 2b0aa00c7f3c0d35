// The other end of provisioner.ts: does one task after the other as they are asked for, and ends when nobody asks.

import { StartFault } from './fault.js';
import { migrate } from './migrations.js';
import { provision } from './provision.js';
import type { Done, Task } from './provisioner.js';

const perform = async (task: Task): Promise<Done> => {
  try {
    return { value: task.work === 'provision' ? await provision(task.options) : await migrate(task.options) };
  } catch (error) {
    if (error instanceof StartFault) return { fault: error.message };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
};

const answer = async (task: Task): Promise<void> => {
  const done = await perform(task);
  // Who is not there any more has called it off.
  if (process.connected) process.send?.(done);
};

process.on('message', (task: Task) => void answer(task));
process.on('disconnect', () => process.exit(0));
