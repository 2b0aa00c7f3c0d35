// Offers: slots of runners that wait for work, one offer per open request of a runner.
//
//   O1. A slot is promised to one task at a time: reserved, then filled or given back.
//   O2. An offer is answered only when no reservation on it is open, so that a filled slot always reaches its runner.

import type { Assignment } from '@nexusmon/worker-contract';

/** What one answer to a runner carries at most beside a single assignment: a message has its bound. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export class Offer {
  readonly assignments: Assignment[] = [];
  private reserved = 0;
  private closed = false;
  private answering = false;
  private bytes = 0;
  private readonly finished = Promise.withResolvers<void>();

  constructor(
    readonly runner_id: string,
    readonly workers: ReadonlySet<string>,
    private free: number,
  ) {}

  get slots(): number {
    return this.closed ? 0 : this.free;
  }

  reserve(): void {
    this.free -= 1;
    this.reserved += 1;
  }

  /** Whether an assignment of this size still goes into the answer; if so, it is counted. */
  admit(bytes: number): boolean {
    if (this.bytes > 0 && this.bytes + bytes > ANSWER_BYTES_MAX) return false;
    this.bytes += bytes;
    return true;
  }

  fill(assignment: Assignment): void {
    this.assignments.push(assignment);
    this.settle();
    this.answerSoon();
  }

  /** `bytes`: of what was admitted and does not come. */
  giveBack(bytes = 0): void {
    this.bytes -= bytes;
    this.free += 1;
    this.settle();
  }

  /** Resolves when there is work to hand over or somebody closed the offer, at the latest after `wait_ms`. */
  async over(wait_ms: number): Promise<readonly Assignment[]> {
    if (this.closed && this.reserved === 0) return this.assignments;
    const timer = setTimeout(() => this.close(), wait_ms);
    await this.finished.promise;
    clearTimeout(timer);
    return this.assignments;
  }

  close(): void {
    this.closed = true;
    if (this.reserved === 0) this.finished.resolve();
  }

  private settle(): void {
    this.reserved -= 1;
    if (this.closed && this.reserved === 0) this.finished.resolve();
  }

  /** At the end of this turn, so that tasks that become ready together travel together. */
  private answerSoon(): void {
    if (this.answering) return;
    this.answering = true;
    setImmediate(() => this.close());
  }
}

export class Offers {
  private readonly offers: Offer[] = [];

  /** `first`: before all others, because this runner has just ended a task of the mission that is decided now. */
  add(offer: Offer, { first }: { first: boolean }): void {
    if (first) this.offers.unshift(offer);
    else this.offers.push(offer);
  }

  remove(offer: Offer): void {
    const index = this.offers.indexOf(offer);
    if (index >= 0) this.offers.splice(index, 1);
  }

  /** How many tasks of this worker could be given out now. */
  slots(worker: string): number {
    let count = 0;
    for (const offer of this.offers) if (offer.workers.has(worker)) count += offer.slots;
    return count;
  }

  /** Slots that wait for work of whatever kind. */
  get free(): number {
    return this.offers.reduce((sum, { slots }) => sum + slots, 0);
  }

  /** Reserves a slot for a task of this worker. */
  reserve(worker: string): Offer | undefined {
    const offer = this.offers.find((candidate) => candidate.slots > 0 && candidate.workers.has(worker));
    offer?.reserve();
    return offer;
  }

  ofRunner(runner_id: string): Offer | undefined {
    return this.offers.find((offer) => offer.runner_id === runner_id);
  }

  /** What the runner asked before now is answered: nobody may be behind it any more. */
  closeOfRunner(runner_id: string): void {
    for (const offer of this.offers) if (offer.runner_id === runner_id) offer.close();
  }

  closeAll(): void {
    for (const offer of this.offers) offer.close();
  }
}
