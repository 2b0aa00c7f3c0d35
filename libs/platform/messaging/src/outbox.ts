import type { NatsConnection } from '@nats-io/nats-core';

const outboxes = new WeakMap<NatsConnection, Outbox>();

/**
 * Sends what one turn of the event loop brings on a connection together: the client writes to its socket once per
 * microtask, and a write to a socket costs more than the message that is in it.
 */
export class Outbox {
  private readonly waiting: (() => void)[] = [];

  /** One per connection, whoever asks. */
  static of(connection: NatsConnection): Outbox {
    const known = outboxes.get(connection) ?? new Outbox();
    outboxes.set(connection, known);
    return known;
  }

  /** `publish` is called before this turn of the event loop ends. What it throws is its own to handle. */
  post(publish: () => void): void {
    if (this.waiting.push(publish) === 1) setImmediate(() => this.flush());
  }

  private flush(): void {
    for (const publish of this.waiting.splice(0)) publish();
  }
}
