// How routes ask the services. The client carries the trace; refusals come back as problems.

import type { MessageClient } from '@nexusmon/messaging';
import { problem, settled } from './problem.js';

/** A read that waits for a position waits up to 5 s; the rest is the way there and back. */
const TIMEOUT_MS = 8_000;

export type Answer<Body> = Readonly<{ changed: boolean; position: string; body: Body }>;

export class Services {
  constructor(private readonly client: MessageClient) {}

  /** `wait_ms`: how much longer than usual the service may take, because the caller asked it to wait. */
  async ask<Body>(subject: string, request: object, wait_ms = 0): Promise<Answer<Body>> {
    const reply = await this.client.request<Body>(subject, request, { timeout_ms: TIMEOUT_MS + wait_ms });
    if (reply.kind === 'unavailable' && reply.unavailable.dependency === 'internal')
      throw problem('internal-fault', 'a service failed on this request; it has been logged');
    return settled(reply);
  }
}
