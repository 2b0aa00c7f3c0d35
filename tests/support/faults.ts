// What may be done to the product and its components while they are asked.

import { pause } from './asking.js';
import type { Round } from './drill.js';
import type { OutsideLog } from './outside-log.js';

/** What may be done to the stack; each heals what it has done. */
type Fault = Readonly<{ name: string; strike: (log: OutsideLog, random: () => number) => Promise<void> }>;

/** False where it has ended, or is just being started and has no number yet. */
export const signalled = (pid: number | undefined, signal: NodeJS.Signals): boolean => {
  if (pid === undefined) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    // It has ended by our own hand a moment ago, and its successor is not known yet.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
};
const pidOf = async ({ product }: OutsideLog, name: string): Promise<number | undefined> =>
  (await product.run()).pids[name];
export const kill = (name: string): Fault => ({
  name: `kill ${name}`,
  strike: async (log) => {
    signalled(await pidOf(log, name), 'SIGKILL');
  },
});

const FAULTS: readonly Fault[] = [
  {
    name: 'kill nats',
    strike: async ({ nats }) => {
      await nats.kill();
      await nats.run();
    },
  },
  {
    name: 'pause nats',
    strike: async ({ nats }, random) => {
      signalled(nats.pid, 'SIGSTOP');
      await pause(200 + random() * 1_500);
      signalled(nats.pid, 'SIGCONT');
    },
  },
  kill('standalone'),
  {
    name: 'pause standalone',
    strike: async (log, random) => {
      const pid = await pidOf(log, 'standalone');
      if (!signalled(pid, 'SIGSTOP')) return;
      await pause(100 + random() * 700);
      signalled(pid, 'SIGCONT');
    },
  },
  kill('postgres'),
  { name: 'cut', strike: ({ line }) => Promise.resolve(line.sever()) },
  {
    name: 'lose acknowledgements',
    strike: async ({ line }, random) => {
      line.loseAcks(0.2, random);
      await pause(800);
      line.heal();
    },
  },
  {
    name: 'delay',
    strike: async ({ line }, random) => {
      line.delay(20 + random() * 200);
      await pause(600);
      line.heal();
    },
  },
];

/** How far the clients have come; undefined when they are done. */
export type Progress = () => number | undefined;

type Plan = Readonly<{ faults?: readonly Fault[]; apart?: number }>;

/** Strikes again and again, each fault in turn, whenever the clients have got on since the last one. */
export const strikeOn = async (
  log: OutsideLog,
  progress: Progress,
  { n, random, figure }: Round,
  { faults = FAULTS, apart = Math.min(250, Math.max(40, n / 20)) }: Plan = {},
): Promise<void> => {
  const left: Fault[] = [];
  let [strikes, next] = [0, apart];
  for (let at = progress(); at !== undefined; at = progress()) {
    await pause(20);
    if (at < next) continue;
    if (left.length === 0) left.push(...faults);
    const [fault] = left.splice(Math.floor(random() * left.length), 1);
    await fault?.strike(log, random);
    strikes += 1;
    next = (progress() ?? at) + apart;
  }
  figure('faults', strikes);
};
