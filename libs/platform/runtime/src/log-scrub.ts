// Log scrub: after the start checks, which look at the ends, the whole log is read in the background.
//
//   B1. It begins when the process has long been ready, and gives way to everything else.
//   B2. A fault makes the log read-only only when a second reading finds it too: a server that went away in the middle
//       of one is no damage.
//   B3. Where the process reads nothing else of what it writes, it goes on from time to time, from where it ended: what
//       the store has made of a commit since is seen by nobody else.

import type { NatsConnection } from '@nats-io/nats-core';
import { scrub, type Scrubbed } from '@nexusmon/event-log';
import type { RequestMux } from '@nexusmon/messaging';
import type { Logger } from '@nexusmon/telemetry';

type Stream = Readonly<{ number: number; name: string }>;

export type ScrubState = Readonly<{ state: 'waiting' | 'reading' | 'sound' | 'damaged'; faults?: readonly string[] }>;

type StartOptions = Readonly<{
  /** After the end of the log, this long until what has come since is read too; not at all unless given. */
  go_on_after_ms?: number;
}>;

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
  private go_on_after_ms: number | undefined;
  /** The last sequence of each stream that was found sound, with all before it. */
  private readonly sound = new Map<number, number>();

  constructor(private readonly options: LogScrubOptions) {}

  get state(): ScrubState {
    return this.now;
  }

  start({ go_on_after_ms }: StartOptions = {}): void {
    this.go_on_after_ms = go_on_after_ms;
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
    if (this.now.state === 'waiting') this.now = { state: 'reading' };
    try {
      const first = await this.faults();
      const faults = first.length > 0 ? await this.faults() : first;
      if (this.ended.signal.aborted) return;
      this.now = faults.length > 0 ? { state: 'damaged', faults } : { state: 'sound' };
      if (faults.length === 0) {
        if (this.go_on_after_ms !== undefined) this.later(this.go_on_after_ms);
        return;
      }
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
    for (const stream of streams) {
      const from = (this.sound.get(stream.number) ?? 0) + 1;
      const scrubbed = await scrub({ connection, mux, stream, from, signal: this.ended.signal });
      if (scrubbed.faults.length === 0) this.sound.set(stream.number, scrubbed.reached);
      found.push(scrubbed);
    }
    return found.flatMap(({ faults }) => faults);
  }
}
