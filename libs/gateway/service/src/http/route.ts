// Routes: one definition each, from which registration, validation, policy and /openapi.json are made.
//
//   T1. A route without a policy does not type-check. `public` is said aloud or not at all.
//   T2. Handlers get values that fit their schemas, and a principal unless the route is public.
//   T3. Handlers know nothing of Fastify, but for those that take the connection over (`taken`).

import type { Scope } from '@nexusmon/access-contract';
import type { Rank } from '@nexusmon/shared-contract';
import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/**
 * `operator`: an open session of an operator, and no API token. `scope`: a session, or an API token with one of these
 * scopes. `step_up`: an X-Operator-Key that is right makes the call of a session sovereign. `operator_key`: the key in
 * the body's field `operator_key` authenticates the call, and nothing else does; with `or_scope` a session, or a token
 * of that scope, does where the body has no key. No token may stand beside that key. A wrong X-Operator-Key ends any
 * request, whatever the route.
 */
export type Policy =
  | Readonly<{ access: 'public' }>
  | Readonly<{ access: 'operator'; step_up?: boolean }>
  | Readonly<{ access: 'scope'; scope: Scope | readonly Scope[]; step_up?: boolean }>
  | Readonly<{ access: 'operator_key'; or_scope?: Scope }>;

type Person = Readonly<{ actor: string; credential_id: string; expires_at_ms: number }>;
/** Who stands behind a request. `credential_id` names the session or token; a key by itself names its account. */
export type Principal =
  | (Person & Readonly<{ kind: 'session' | 'key' }>)
  | (Person & Readonly<{ kind: 'token'; scopes: readonly string[]; rank_ceiling: Rank }>);

export type HeaderName =
  'Idempotency-Key' | 'Prefer' | 'X-Operator-Key' | 'Last-Event-ID' | 'If-None-Match' | 'Range' | 'If-Range';

export type Answered = Readonly<{
  status: number;
  body?: unknown;
  stream?: Readable;
  media_type?: string;
  headers?: Readonly<Record<string, string>>;
  /** The body is one document: it gets an ETag, and 304 is said to whoever has it. */
  tagged?: boolean;
  /** Where the log stood when this was true. */
  position?: string;
  /** The account that reads this write as its own, where the request came with no credential. */
  written_by?: string;
}>;
/** The handler has taken the connection and ends it by itself. */
export const TAKEN = Symbol('taken');
export type Answer = Answered | typeof TAKEN;

export type Call<Params, Query, Body> = Readonly<{
  params: Params;
  query: Query;
  body: Body;
  /** The body as it was sent, before defaults: what an Idempotency-Key is bound to. */
  raw_body: unknown;
  /** The operator key came with this request and was right. */
  sovereign: boolean;
  /** Throws on public routes: nobody is there. */
  principal: Principal;
  request: FastifyRequest;
  reply: FastifyReply;
}>;

export type ResponseDescription = Readonly<{
  description: string;
  schema?: z.ZodType;
  /** @default application/json */
  media_type?: string;
}>;

/** A route that another one has taken the place of. It stays. */
export type Deprecated = Readonly<{ since: string; successor: string }>;

export type Route = Readonly<{
  method: 'GET' | 'POST' | 'DELETE';
  /** With `{name}` for parameters, as OpenAPI writes them. */
  path: string;
  summary: string;
  tag: string;
  policy: Policy;
  deprecated?: Deprecated;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** The body is a form of these fields and then a file, and is not read before the handler asks for it. */
  form?: z.ZodObject;
  headers?: readonly HeaderName[];
  responses: Readonly<Record<number, ResponseDescription>>;
  /** Codes that a caller should be ready for, beside those that any route can answer with. */
  problems?: readonly string[];
  handler: (call: Call<never, never, never>) => Answer | Promise<Answer>;
}>;

type InferOr<Schema, Fallback> = Schema extends z.ZodType ? z.infer<Schema> : Fallback;
type Nothing = Readonly<Record<never, never>>;

type Definition<Params, Query, Body> = Omit<Route, 'params' | 'query' | 'body' | 'handler'> &
  Readonly<{
    params?: Params;
    query?: Query;
    body?: Body;
    handler: (
      call: Call<InferOr<Params, Nothing>, InferOr<Query, Nothing>, InferOr<Body, undefined>>,
    ) => Answer | Promise<Answer>;
  }>;

export const defineRoute = <
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  definition: Definition<Params, Query, Body>,
): Route => definition as unknown as Route;

/** Paths of Fastify spell parameters another way. */
export const fastifyPath = (path: string): string => path.replaceAll(/\{([a-z_]+)\}/g, ':$1');
