// Admission: whether a request is looked at, and what it may do.
//
//   D1. Every request counts once: for its credential where that is right, else for its address. What is not known to
//       be right is not even looked at once its address has nothing left.
//   D2. The operator key is checked wherever it is sent, before anything else is. With a credential that is not known
//       it counts for the address first: a wrong one costs a place in the log.
//   D3. A token does what its scopes say and nothing that takes an operator: the operator key changes nothing for it,
//       wherever it is sent. What has the form of a token is one here, whether it still counts or not.
//   D4. The operator key in a body authenticates by itself: any other credential beside it is passed over, right or
//       wrong. Where a body may have the key and has none, what is wrong with the credential is told.

import type { Scope } from '@nexusmon/access-contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import { problem, Problem } from '../http/problem.js';
import type { RateLimit, Taken } from '../http/rate-limit.js';
import type { Policy, Principal } from '../http/route.js';
import { singleHeader } from '../http/validation.js';
import { isApiToken } from './api-tokens.js';
import { sourceOf } from './client-binding.js';
import { credentialOf, type Credential } from './credential.js';
import type { Credentials } from './credentials.js';
import type { KeyChecks } from './key-checks.js';

const KNOWN_MAX = 10_000;
const KNOWN_FOR_MS = 600_000;

/** `refused` is for a route whose body may still hold the operator key: what to say if it does not (D4). */
export type Admitted = Readonly<{ principal?: Principal; sovereign: boolean; refused?: Problem }>;

export type AdmissionOptions = Readonly<{
  credentials: Pick<Credentials, 'authenticate'>;
  keys: Pick<KeyChecks, 'check'>;
  /** Whom the operator key stands for. */
  account: string;
  per_credential: RateLimit;
  per_address: RateLimit;
}>;

export class Admission {
  /** Credentials that were right a while ago, by digest. Says for whom a request counts, and nothing else. */
  private readonly known = new LRUCache<string, string>({ max: KNOWN_MAX, ttl: KNOWN_FOR_MS });

  constructor(private readonly options: AdmissionOptions) {}

  /** D1, for requests of whatever route, before anything is spent on them. */
  count(request: FastifyRequest, reply: FastifyReply): void {
    const { per_credential, per_address } = this.options;
    const credential = presented(request);
    const known = this.knownOf(credential);
    const source = sourceOf(request.ip);
    if (known !== undefined) told(per_credential.take(known), reply);
    else told(credential ? per_address.look(source) : per_address.take(source), reply);
  }

  /** For what asks nobody who it comes from: a credential that is not known to be right counts as none. */
  countUnasked(request: FastifyRequest, reply: FastifyReply): void {
    const credential = presented(request);
    if (credential && this.knownOf(credential) === undefined) this.countForAddress(request, reply);
  }

  /** Who may go on to the body and the handler of a route. */
  async admit(request: FastifyRequest, reply: FastifyReply, policy: Policy): Promise<Admitted> {
    const key = singleHeader(request, 'X-Operator-Key');
    if (key !== undefined) {
      this.countUnasked(request, reply);
      await this.options.keys.check(request.ip, key, 'header');
    }
    try {
      return await this.admitByCredential(request, reply, policy, key !== undefined);
    } catch (error) {
      const may_have_key = policy.access === 'operator_key' && error instanceof Problem && error.status < 429;
      if (!may_have_key) throw error;
      return { sovereign: false, refused: error };
    }
  }

  /** For the key in a body (D4). */
  async admitByKey(request: FastifyRequest, key: string): Promise<Admitted> {
    const { keys, account } = this.options;
    await keys.check(request.ip, key, 'body');
    if (hasToken(request)) throw problem('session-required', 'no operator key makes an API token an operator');
    const principal = { kind: 'key', actor: account, credential_id: account, expires_at_ms: Infinity } as const;
    return { principal, sovereign: true };
  }

  private async admitByCredential(
    request: FastifyRequest,
    reply: FastifyReply,
    policy: Policy,
    has_key: boolean,
  ): Promise<Admitted> {
    const guarded = guardOf(policy, request);
    if (!guarded) {
      this.countUnasked(request, reply);
      return { sovereign: false };
    }
    const principal = await this.authenticate(request, reply);
    if (principal.kind === 'token') checkToken(principal, guarded, has_key);
    return { principal, sovereign: has_key && guarded.step_up === true };
  }

  private async authenticate(request: FastifyRequest, reply: FastifyReply): Promise<Principal> {
    const credential = credentialOf(request);
    if (!credential) throw problem('credential-required', 'this route needs a session or an API token');
    const name = digestOf(credential);
    const is_new = !this.known.has(name);
    try {
      const principal = await this.options.credentials.authenticate(request, credential);
      this.known.set(name, principal.credential_id);
      if (is_new) told(this.options.per_credential.take(principal.credential_id), reply);
      return principal;
    } catch (error) {
      if (error instanceof Problem && error.status < 429) {
        this.known.delete(name);
        if (is_new) this.countForAddress(request, reply);
      }
      throw error;
    }
  }

  private countForAddress(request: FastifyRequest, reply: FastifyReply): void {
    told(this.options.per_address.take(sourceOf(request.ip)), reply);
  }

  private knownOf(credential: Credential | undefined): string | undefined {
    return credential && this.known.get(digestOf(credential));
  }
}

const digestOf = ({ text }: Credential): string => hash('sha256', text, 'base64');

/** A header that cannot be a credential is none here; the routes that need one say what is wrong with it. */
const presented = (request: FastifyRequest): Credential | undefined => {
  try {
    return credentialOf(request);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
};

/** D3. Whoever shows a token asks as its holder, also where there is something wrong with it. */
const hasToken = (request: FastifyRequest): boolean =>
  (request.raw.headersDistinct['authorization'] ?? []).some((value) => isApiToken(value.replace(/^bearer\s+/i, '')));

const told = ({ allowed, headers }: Taken, reply: FastifyReply): void => {
  reply.headers(headers);
  if (!allowed) throw problem('too-many-requests', { detail: 'these are more requests than may come in a second' });
};

type Token = Extract<Principal, { kind: 'token' }>;
type Guarded = Extract<Policy, { access: 'operator' | 'scope' }>;

/**
 * What a credential in the headers must be good for; undefined where none is asked for. Where the key may stand in the
 * body instead, a credential counts if there is one: what the body holds is not known yet.
 */
const guardOf = (policy: Policy, request: FastifyRequest): Guarded | undefined => {
  if (policy.access === 'public') return undefined;
  if (policy.access !== 'operator_key') return policy;
  const { or_scope } = policy;
  return or_scope === undefined || !credentialOf(request) ? undefined : { access: 'scope', scope: or_scope };
};

/** D3 */
const checkToken = ({ scopes }: Token, policy: Guarded, has_key: boolean): void => {
  if (policy.access === 'operator' || has_key)
    throw problem('session-required', 'this takes an operator with a session of their own, not an API token');
  const asked: readonly Scope[] = [policy.scope].flat();
  if (asked.some((scope) => scopes.includes(scope))) return;
  const named = asked.join(' or ');
  throw problem('scope-required', { detail: `the API token lacks the scope ${named}`, facts: { scopes: asked } });
};
