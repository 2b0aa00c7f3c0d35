import type { Child } from './child.js';

/** A server process of somebody else's that answers: NATS, PostgreSQL or MinIO. */
export type Component = Readonly<{
  name: string;
  /** Without credentials. */
  url: string;
  pid: number;
  exited: Child['exited'];
  /** Why it does not do what it is there for, though it runs; undefined while it does. */
  stalled?: () => Promise<string | undefined>;
  stop: (grace_ms: number) => Promise<void>;
}>;

/** Where a component keeps its data and its log, and who hears of its pid before it is ready. */
export type ComponentPlace = Readonly<{
  data_dir: string;
  log_file: string;
  onStarted?: (child: Child) => void;
  /** Aborted when it is not wanted any more, ready or not. */
  signal?: AbortSignal;
}>;

/** The first start of a component formats its store, and a start after a crash recovers it: both may take long. */
export const READY_TIMEOUT_MS = 60_000;

/** A question that is not answered by then is asked again. */
export const PROBE_TIMEOUT_MS = 2_000;
