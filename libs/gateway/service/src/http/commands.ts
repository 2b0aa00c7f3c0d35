// Commands: what makes a repeated request the same request
//
//   I1. With an Idempotency-Key the command's id follows from principal, command and key, so the log itself knows it.
//   I2. The digest of the body goes with it: the same key with another body is found out where the command is decided.
//   I3. Nothing is remembered here but what is on its way through this process; answers are never stored.

import { canonical, keyedId, newId, sha256Hex } from '@nexusmon/event-log';
import type { Asked } from '@nexusmon/shared-contract';
import { field, problem } from './problem.js';
import type { Principal } from './route.js';
import { idempotencyKey } from './validation.js';
import type { FastifyRequest } from 'fastify';

const RETRY_AFTER_SECONDS = '1';

type Caller = Readonly<{ principal: Principal; request: FastifyRequest; raw_body: unknown }>;

export type Command = Readonly<{
  asked: Asked;
  /** The id of what the command makes: the same for a repeat. */
  idOf: (prefix: string) => string;
}>;

/** `name` says the command and what it is about: `mission.approve`, then the mission. */
export const commandOf = ({ principal, request, raw_body }: Caller, ...name: readonly string[]): Command => {
  const { actor } = principal;
  const who = principal.kind === 'token' ? { actor, rank_ceiling: principal.rank_ceiling } : { actor };
  const key = idempotencyKey(request);
  if (key === undefined) return { asked: { ...who, command_id: newId('cmd') }, idOf: newId };
  return {
    asked: {
      ...who,
      command_id: keyedId('cmd', actor, ...name, key),
      request_digest: sha256Hex(canonical(raw_body ?? {})),
    },
    idOf: (prefix) => keyedId(prefix, actor, ...name, key),
  };
};

/** The keyed commands that are being carried out for somebody in this process. */
export class CommandsInFlight {
  private readonly digests = new Map<string, string>();

  async run<Result>({ asked: { command_id, request_digest } }: Command, work: () => Promise<Result>): Promise<Result> {
    if (request_digest === undefined) return work();
    const other = this.digests.get(command_id);
    if (other === request_digest)
      throw problem('request-in-flight', {
        detail: 'the request with this Idempotency-Key has not been answered yet',
        headers: { 'retry-after': RETRY_AFTER_SECONDS },
      });
    if (other !== undefined)
      throw problem('idempotency-key-reused', {
        detail: 'the request with this Idempotency-Key that is being carried out has another body',
        errors: [field('Idempotency-Key', 'used for another body')],
      });
    this.digests.set(command_id, request_digest);
    try {
      return await work();
    } finally {
      this.digests.delete(command_id);
    }
  }
}
