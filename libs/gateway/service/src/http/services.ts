// How routes ask the services. The client carries the trace; refusals come back as problems.

import { INTERNAL, isDependent, type JsonText, type MessageClient } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import { problem, settled, unavailable } from './problem.js';

/** A read that waits for a position waits up to 5 s; the rest is the way there and back. */
export const TIMEOUT_MS = 8_000;

export type Answer<Body> = Readonly<{ changed: boolean; position: string; body: Body }>;

export class Services {
  constructor(private readonly client: MessageClient) {}

  async ask<Body>(
    subject: string,
    request: object,
    { timeout_ms = TIMEOUT_MS }: Readonly<{ timeout_ms?: number }> = {},
  ): Promise<Answer<Body>> {
    return this.answer(subject, this.client.request<Body>(subject, request, { timeout_ms }));
  }

  /** For an answer whose body goes to the asker as it is. */
  async pass(subject: string, request: object): Promise<Answer<JsonText>> {
    return this.answer(subject, this.client.passing(subject, request, TIMEOUT_MS));
  }

  private async answer<Body>(subject: string, asked: Promise<Reply<Body>>): Promise<Answer<Body>> {
    const reply = await this.reply(subject, asked);
    if (reply.kind === 'unavailable' && reply.unavailable.dependency === INTERNAL)
      throw problem('internal-fault', 'a service failed on this request; it has been logged');
    return settled(reply);
  }

  private async reply<Body>(subject: string, asked: Promise<Reply<Body>>): Promise<Reply<Body>> {
    try {
      return await asked;
    } catch (error) {
      if (!isDependent(error)) throw error;
      const command = subject.startsWith('cmd.') ? '; the command may have been carried out all the same' : '';
      throw unavailable(`${error.dependency}-service`, `${error.dependency}-service does not answer${command}`);
    }
  }
}
