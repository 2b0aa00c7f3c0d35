// A mission-service as a runner sees it, for specs: hands out what it is given, waits like the real one, keeps reports.

import type { Reply } from '@nexusmon/shared-contract';
import type {
  Assignment,
  AttemptResult,
  PollReply,
  PollRequest,
  ReportReply,
  ReportRequest,
} from '@nexusmon/worker-contract';
import { Unavailable } from '@nexusmon/messaging';
import type { MissionDesk } from './runner.js';

type Stop = PollReply['stop'][number];
type Waiter = { readonly request: PollRequest; readonly answer: (reply: Reply<PollReply>) => void };

const done = <Body>(body: Body): Reply<Body> => ({ kind: 'done', changed: false, position: '', body });
const keyOf = ({ mission_id, task_id, attempt }: Stop) => `${mission_id}/${task_id}/${attempt}`;

export class DeskFixture implements MissionDesk {
  readonly polls: PollRequest[] = [];
  readonly reports: ReportRequest[] = [];
  /** Requests fail while it is set. */
  away = false;
  /** Reports are answered as too late while it is set. */
  fenced = false;
  private readonly queue: Assignment[] = [];
  private readonly stops: Stop[] = [];
  private readonly waiters = new Set<Waiter>();
  private readonly expected = new Map<string, (result: AttemptResult) => void>();
  private readonly watchers = new Set<() => void>();

  readonly poll = (request: PollRequest): Promise<Reply<PollReply>> => {
    if (this.away) return Promise.reject(new Unavailable('mission', 'it is away'));
    this.polls.push(request);
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.answer(done({ assignments: [], stop: [] })), request.wait_ms);
      const waiter: Waiter = {
        request,
        answer: (reply) => {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve(reply);
        },
      };
      this.waiters.add(waiter);
      this.serve();
      this.tell();
    });
  };

  readonly report = async (request: ReportRequest): Promise<Reply<ReportReply>> => {
    if (this.away) throw new Unavailable('mission', 'it is away');
    this.reports.push(request);
    this.expected.get(keyOf(request))?.(request.result);
    this.tell();
    const next = this.fenced ? undefined : this.queue.shift();
    return done({
      accepted: !this.fenced,
      ...(this.fenced ? { reason: 'stale' } : {}),
      assignments: next ? [next] : [],
    });
  };

  /** Hands an assignment out, and gives what is reported of it. */
  assign(assignment: Assignment): Promise<AttemptResult> {
    const result = new Promise<AttemptResult>((resolve) => this.expected.set(keyOf(assignment), resolve));
    this.queue.push(assignment);
    this.serve();
    return result;
  }

  stop(asked: Stop): void {
    this.stops.push(asked);
    this.serve();
  }

  /** Everybody who waits is told that nobody knows. */
  breakOff(): void {
    for (const { answer } of [...this.waiters]) {
      answer({ kind: 'unavailable', unavailable: { dependency: 'mission', detail: 'gone', retry_after_seconds: 1 } });
    }
  }

  /** Resolves when `is` holds, looked at after every request. */
  until(is: (desk: DeskFixture) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!is(this)) return;
        this.watchers.delete(look);
        resolve();
      };
      this.watchers.add(look);
      look();
    });
  }

  private tell(): void {
    for (const look of [...this.watchers]) look();
  }

  private serve(): void {
    for (const { request, answer } of [...this.waiters]) {
      if (this.stops.length > 0) answer(done({ assignments: [], stop: this.stops.splice(0) }));
      else if (this.queue.length > 0 && request.slots > 0)
        answer(done({ assignments: this.queue.splice(0, request.slots), stop: [] }));
    }
  }
}
