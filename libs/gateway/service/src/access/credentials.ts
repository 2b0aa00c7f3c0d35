// Credentials: who is behind what a request carries.

import type { FastifyRequest } from 'fastify';
import type { Principal } from '../http/route.js';
import { isApiToken, type ApiTokens } from './api-tokens.js';
import type { Credential } from './credential.js';
import type { Sessions } from './sessions.js';

export class Credentials {
  constructor(
    private readonly sessions: Sessions,
    private readonly tokens: ApiTokens,
  ) {}

  /** The principal behind a credential, or a problem that says what is wrong with it. */
  authenticate(request: FastifyRequest, credential: Credential): Promise<Principal> {
    const is_token = credential.from === 'header' && isApiToken(credential.text);
    return is_token ? this.tokens.authenticate(credential.text) : this.sessions.authenticate(request, credential);
  }

  /** Whether what is behind a principal still stands: for connections that outlive their first check. */
  async stands(principal: Principal): Promise<boolean> {
    if (principal.expires_at_ms <= Date.now()) return false;
    return principal.kind === 'token' ? this.tokens.stands(principal) : this.sessions.stands(principal);
  }

  /** Told by the live log: another process may have ended it. */
  forget(credential_id: string): void {
    this.sessions.forget(credential_id);
    this.tokens.forget(credential_id);
  }
}
