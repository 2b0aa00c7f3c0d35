// The server of the log, as far as the product asks it: one stream of messages.
//
//   N1. It appends what carries the sequence of its subject's last message, and refuses what carries another; what
//       carries none it appends, as the real one does.
//   N2. A request may get lost on its way, and an answer on its way back: the asker is left with not knowing.

import type { LogMessage } from '@nexusmon/event-log';
import { ConnectionLost, RequestTimedOut } from '@nexusmon/messaging';
import type { MsgHdrs } from '@nats-io/nats-core';
import type { Appended, EventStream } from '../../libs/platform/event-log/src/event-stream.js';
import type { Machine, Process } from './machine.js';

export const STREAM = { number: 0, name: 'NEXUSMON_EVENTS_0', incarnation: '000000000000' } as const;
const EXPECTED = 'Nats-Expected-Last-Subject-Sequence';
const READ_TIMEOUT_MS = 2_000;

/** What becomes of one request: `unheard` and `cut_after` are carried out. */
export type Fate = 'lost' | 'unheard' | 'cut_before' | 'cut_after';

export class LogServer {
  readonly messages: LogMessage[] = [];
  /** What shall become of the next requests. */
  readonly fates: Fate[] = [];
  private readonly last_of = new Map<string, number>();
  private waiting: (() => void)[] = [];

  constructor(private readonly machine: Machine) {}

  /** What a process has of the stream. */
  streamOf(owner: Process): EventStream {
    const ask = <Answer>(label: string, answer: () => Answer, timeout_ms = READ_TIMEOUT_MS) =>
      this.ask(owner, label, answer, timeout_ms);
    const stream: Pick<EventStream, 'number' | 'name' | 'last' | 'at' | 'next' | 'append'> = {
      ...STREAM,
      last: (subject) => ask('last', () => this.messages[(this.last_of.get(subject) ?? 0) - 1]),
      at: (sequence) => ask('at', () => this.messages[sequence - 1]),
      next: (subject, sequence) =>
        ask('next', () => this.messages.find((found) => found.subject === subject && found.seq >= sequence)),
      append: async (subject, headers, body, timeout_ms) => {
        await this.machine.transit(`${owner.name} appends`);
        return ask('append', () => this.append(subject, headers, body), timeout_ms);
      },
    };
    return stream as EventStream;
  }

  /** Until there is a message of this sequence. */
  async reaches(sequence: number): Promise<void> {
    while (this.messages.length < sequence) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private append(subject: string, headers: MsgHdrs, body: Uint8Array): Appended {
    const last = this.last_of.get(subject) ?? 0;
    const expected = headers.get(EXPECTED);
    if (expected !== '' && Number(expected) !== last) return { kind: 'conflict' };
    const seq = this.messages.length + 1;
    this.messages.push({ subject, seq, data: body, headers });
    this.last_of.set(subject, seq);
    for (const wake of this.waiting.splice(0)) wake();
    return { kind: 'appended', sequence: seq };
  }

  private ask<Answer>(owner: Process, label: string, answer: () => Answer, timeout_ms: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new RequestTimedOut(label, timeout_ms)), timeout_ms);
      const carry = async () => {
        const fate = this.fates.shift();
        const broken = fate === 'cut_before' || fate === 'cut_after';
        const answered = fate === 'lost' || fate === 'cut_before' ? undefined : { with: answer() };
        await this.machine.step(`${label} answered`, owner);
        if (fate === 'lost' || fate === 'unheard') return;
        clearTimeout(timer);
        if (broken || !answered) reject(new ConnectionLost(label));
        else resolve(answered.with);
      };
      void carry();
    });
  }
}
