import type { NatsConnection } from '@nats-io/nats-core';

const outboxes = new WeakMap<NatsConnection, Outbox>();

/**
 * Sends what one turn of the event loop brings on a connection together: the client writes to its socket once per
 * microtask, and a write to a socket costs more than the message that is in it. Where turns bring one message each, it
 * does not wait for the end of its own: whatever else the turn still does would lie before it.
 */
export class Outbox {
  private readonly waiting: (() => void)[] = [];
  private posted = 0;
  private quiet = true;

  /** One per connection, whoever asks. */
  static of(connection: NatsConnection): Outbox {
    const known = outboxes.get(connection) ?? new Outbox();
    outboxes.set(connection, known);
    return known;
  }

  /**
   * `publish` is called at once or before this turn of the event loop ends, in the order of the posts. What it throws
   * is its own to handle.
   */
  post(publish: () => void): void {
    this.posted += 1;
    if (this.posted === 1) setImmediate(() => this.endTurn());
    if (this.posted === 1 && this.quiet) publish();
    else this.waiting.push(publish);
  }

  private endTurn(): void {
    this.quiet = this.posted === 1;
    this.posted = 0;
    for (const publish of this.waiting.splice(0)) publish();
  }
}
