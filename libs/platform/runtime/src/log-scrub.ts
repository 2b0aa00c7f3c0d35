// Log scrub: after the start checks, which look at the ends, the whole log is read once in the background.
//
//   B1. It begins when the process has long been ready, and gives way to everything else.
//   B2. A fault makes the log read-only only when a second reading finds it too: a server that went away in the middle
//       of one is no damage.

import type { NatsConnection } from '@nats-io/nats-core';
import { scrub, type Scrubbed } from '@nexusmon/event-log';
import type { RequestMux } from '@nexusmon/messaging';
import type { Logger } from '@nexusmon/telemetry';

type Stream = Readonly<{ number: number; name: string }>;

export type ScrubState = Readonly<{ state: 'waiting' | 'reading' | 'sound' | 'damaged'; faults?: readonly string[] }>;

const BEGIN_AFTER_MS = 10_000;
const AGAIN_AFTER_MS = 5_000;

export type LogScrubOptions = Readonly<{
  connection: NatsConnection;
  mux: RequestMux;
  streams: readonly Stream[];
  log: Logger;
  onDamage: (reason: string) => void;
  begin_after_ms?: number;
}>;

export class LogScrub {
  private readonly ended = new AbortController();
  private now: ScrubState = { state: 'waiting' };
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: LogScrubOptions) {}

  get state(): ScrubState {
    return this.now;
  }

  start(): void {
    this.later(this.options.begin_after_ms ?? BEGIN_AFTER_MS);
  }

  /** Nothing rests on where it was: the next process reads from the beginning. */
  close(): void {
    this.ended.abort();
    clearTimeout(this.timer);
  }

  private later(ms: number): void {
    if (this.ended.signal.aborted) return;
    this.timer = setTimeout(() => void this.run(), ms);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    const { log, onDamage } = this.options;
    this.now = { state: 'reading' };
    try {
      const first = await this.faults();
      const faults = first.length > 0 ? await this.faults() : first;
      if (this.ended.signal.aborted) return;
      this.now = faults.length > 0 ? { state: 'damaged', faults } : { state: 'sound' };
      if (faults.length === 0) return;
      log.error({ msg: 'the log is damaged', faults });
      onDamage(faults.join('; '));
    } catch (error) {
      log.warn({ msg: 'the scrub of the log begins again', error });
      this.later(AGAIN_AFTER_MS);
    }
  }

  private async faults(): Promise<readonly string[]> {
    const { connection, mux, streams } = this.options;
    const found: Scrubbed[] = [];
    for (const stream of streams) found.push(await scrub({ connection, mux, stream, signal: this.ended.signal }));
    return found.flatMap(({ faults }) => faults);
  }
}
