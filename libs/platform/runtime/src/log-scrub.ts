// Log scrub: the start checks look at the ends; here the whole log is read.
//
//   B1. The first reading begins with the process and gives way to nothing: until it has ended nothing is written. The
//       server does not report damage, and what it would give out next cannot be told from what it has lost. The same
//       when the server was started again.
//   B2. A fault makes the log read-only only when a second reading finds it too: a server that went away in the middle
//       of one is no damage.
//   B3. Where the process reads nothing else of what it writes, it goes on from time to time, from where it ended: what
//       the store has made of a commit since is seen by nobody else.
//   B4. From time to time all is read again, giving way to everything else: what lies on a disk can rot later.

import { setTimeout as pause } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/nats-core';
import { scrub, type Place, type Scrubbed } from '@nexusmon/event-log';
import type { RequestMux } from '@nexusmon/messaging';
import type { Logger } from '@nexusmon/telemetry';

type Stream = Readonly<{ number: number; name: string }>;

export type ScrubState = Readonly<
  | { state: 'waiting' | 'sound' }
  /** For the first time: how far it is. */
  | { state: 'reading'; stream?: number; reached: number }
  | { state: 'damaged'; faults: readonly string[] }
>;

type StartOptions = Readonly<{
  /** After the end of the log, this long until what has come since is read too; not at all unless given. */
  go_on_after_ms?: number;
}>;

const WHOLE_AGAIN_AFTER_MS = 6 * 60 * 60_000;
const AGAIN_AFTER_MS = 5_000;
/** Writes wait for this one. */
const REREAD_AFTER_MS = 200;

export type LogScrubOptions = Readonly<{
  connection: NatsConnection;
  mux: RequestMux;
  streams: readonly Stream[];
  log: Logger;
  onDamage: (reason: string) => void;
  /** @default 6 h */
  whole_again_after_ms?: number;
}>;

export class LogScrub {
  private readonly ended = new AbortController();
  private now: ScrubState = { state: 'waiting' };
  private timer: NodeJS.Timeout | undefined;
  private go_on_after_ms: number | undefined;
  /** The last sequence of each stream that was found sound, with all before it. */
  private readonly sound = new Map<number, number>();

  private whole_ms = -Infinity;
  private rereading: Promise<void> | undefined;
  private readonly first = Promise.withResolvers<void>();

  constructor(private readonly options: LogScrubOptions) {}

  get state(): ScrubState {
    return this.now;
  }

  /** Resolves when the first reading has ended, whatever it has found; never where it is closed before. */
  start({ go_on_after_ms }: StartOptions = {}): Promise<void> {
    this.go_on_after_ms = go_on_after_ms;
    this.later(0);
    return this.first.promise;
  }

  /** All of it again, because the server was started again (B1). Whoever asks meanwhile waits for the same. */
  again(): Promise<void> {
    this.rereading ??= this.readAgain().finally(() => (this.rereading = undefined));
    return this.rereading;
  }

  private async readAgain(): Promise<void> {
    const read = () => this.read(true, () => 1);
    while (!this.ended.signal.aborted)
      try {
        const first = await read();
        const faults = first.length > 0 ? await read() : first;
        if (faults.length > 0) this.tellDamage(faults);
        return;
      } catch (error) {
        this.options.log.warn({ msg: 'the log is read again from the beginning', error });
        await pause(REREAD_AFTER_MS, undefined, { ref: false });
      }
  }

  private tellDamage(faults: readonly string[]): void {
    if (this.ended.signal.aborted) return;
    this.now = { state: 'damaged', faults };
    this.options.log.error({ msg: 'the log is damaged', faults });
    this.options.onDamage(faults.join('; '));
  }

  /** Nothing rests on where it was: the next process reads from the beginning. */
  close(): void {
    this.ended.abort();
    clearTimeout(this.timer);
  }

  private get whole_again_after_ms(): number {
    return this.options.whole_again_after_ms ?? WHOLE_AGAIN_AFTER_MS;
  }

  private later(ms: number): void {
    if (this.ended.signal.aborted) return;
    this.timer = setTimeout(() => void this.run(), ms);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    if (this.now.state === 'waiting') this.now = { state: 'reading', reached: 0 };
    try {
      const first = await this.faults();
      const faults = first.length > 0 ? await this.faults() : first;
      if (this.ended.signal.aborted) return;
      if (faults.length > 0) this.tellDamage(faults);
      else {
        if (this.now.state === 'reading') this.now = { state: 'sound' };
        this.later(this.go_on_after_ms ?? this.whole_again_after_ms);
      }
      this.first.resolve();
    } catch (error) {
      this.options.log.warn({ msg: 'the scrub of the log begins again', error });
      this.later(AGAIN_AFTER_MS);
    }
  }

  /** What has come since, or all of it where that is due (B4). */
  private async faults(): Promise<readonly string[]> {
    const is_first = this.now.state === 'reading';
    const since = await this.read(is_first, (number) => (this.sound.get(number) ?? 0) + 1);
    const is_due = !is_first && performance.now() - this.whole_ms >= this.whole_again_after_ms;
    if (is_due || is_first) this.whole_ms = performance.now();
    return is_due && since.length === 0 ? this.read(false, () => 1) : since;
  }

  private async read(at_once: boolean, fromOf: (stream: number) => number): Promise<readonly string[]> {
    const { connection, mux, streams } = this.options;
    const { signal } = this.ended;
    const found: Scrubbed[] = [];
    for (const stream of streams) {
      const onProgress = ({ sequence }: Place) => this.tell(stream.number, sequence);
      const from = fromOf(stream.number);
      const scrubbed = await scrub({ connection, mux, stream, from, at_once, signal, onProgress });
      if (scrubbed.faults.length === 0) this.sound.set(stream.number, scrubbed.reached);
      found.push(scrubbed);
    }
    return found.flatMap(({ faults }) => faults);
  }

  private tell(stream: number, reached: number): void {
    if (this.now.state === 'reading') this.now = { state: 'reading', stream, reached };
  }
}
