// Problems: how anything that is not an answer leaves the gateway (RFC 9457)
//
//   P1. Every code is in one table with its status, its title and what to do next; /docs is made from the same table.
//   P2. A problem names the field, state, capability or dependency it is about, and never a secret, a stack or a query.
//   P3. Replies of services become HTTP here and nowhere else.

import type { FieldError, Refusal, Reply } from '@nexusmon/shared-contract';
import { fieldError } from '@nexusmon/shared-contract';
import { z } from 'zod';

type Meaning = Readonly<{ status: number; title: string; hint: string }>;

const meaning = (status: number, title: string, hint: string): Meaning => ({ status, title, hint });

/** Every code that the gateway can say, its own and those of the services. Codes are never reused or renamed. */
export const PROBLEMS = {
  'malformed-request': meaning(400, 'The request is malformed', 'Correct the request line, headers or framing.'),
  'malformed-json': meaning(400, 'The body is not JSON', 'Send one JSON value, encoded as UTF-8 (RFC 8259).'),
  'malformed-form': meaning(400, 'The body is not a whole form', 'Send multipart/form-data (RFC 7578) to its end.'),
  'malformed-header': meaning(400, 'A header is malformed', 'Correct the header that errors[] names.'),
  'malformed-cursor': meaning(422, 'The cursor is not one of ours', 'Use next_cursor of the list as it is.'),
  'malformed-position': meaning(
    422,
    'The position is not one of ours',
    'Use a Nexusmon-Position or an event id as it is.',
  ),
  'credential-required': meaning(
    401,
    'A credential is required',
    'POST /v1/auth/login and send the token as Authorization: Bearer.',
  ),
  'credential-invalid': meaning(401, 'The credential is not valid', 'Log in again with POST /v1/auth/login.'),
  'session-ended': meaning(401, 'The session has ended', 'Log in again with POST /v1/auth/login.'),
  'session-binding-mismatch': meaning(401, 'The session belongs to another client', 'Log in again from this client.'),
  'token-ended': meaning(
    401,
    'The API token has been revoked or has expired',
    'Ask an operator for another; POST /v1/auth/tokens issues one.',
  ),
  'operator-key-invalid': meaning(
    401,
    'The operator key is wrong',
    'Use the key in the data folder or in OPERATOR_KEY.',
  ),
  'operator-key-required': meaning(403, 'The operator key is required', 'Send the operator key as X-Operator-Key.'),
  'operator-key-refused': meaning(403, 'The operator key is wrong', 'Send the right operator key as X-Operator-Key.'),
  'origin-refused': meaning(
    403,
    'The origin is not allowed',
    'Call from the origin of the gateway, or list it in ALLOWED_ORIGINS.',
  ),
  'scope-required': meaning(403, 'The API token lacks a scope', 'Use a token with a scope that scopes names.'),
  'session-required': meaning(
    403,
    'This takes an operator with a session',
    'POST /v1/auth/login; no API token may do this.',
  ),
  'rank-above-ceiling': meaning(
    403,
    'The mission is above the rank ceiling of the API token',
    'Use a token with a higher ceiling, or an operator with a session.',
  ),
  'not-permitted': meaning(403, 'Not permitted', 'The detail names what is missing.'),
  'not-found': meaning(404, 'Not found', 'Check the id; lists show what there is.'),
  'mission-not-found': meaning(404, 'There is no such mission', 'GET /v1/engine/missions lists them.'),
  'approval-not-found': meaning(404, 'There is no such approval', 'GET /v1/approvals lists them.'),
  'review-not-found': meaning(404, 'There is no such review', 'GET /v1/reviews lists them.'),
  'capability-not-found': meaning(404, 'There is no such capability', 'GET /v1/governance/capabilities lists them.'),
  'worker-not-found': meaning(404, 'There is no such worker', 'GET /v1/workers lists them.'),
  'artifact-not-found': meaning(404, 'There is no such artifact', 'GET /v1/vault/artifacts lists them.'),
  'session-not-found': meaning(404, 'There is no such session', 'GET /v1/auth/sessions lists them.'),
  'projection-not-found': meaning(404, 'There is no such projection', 'GET /v1/system/projections lists them.'),
  'token-not-found': meaning(404, 'There is no such API token', 'GET /v1/auth/tokens lists them.'),
  'route-not-found': meaning(404, 'There is no such route', 'GET /openapi.json lists all routes.'),
  'method-not-allowed': meaning(405, 'The route does not have this method', 'Use a method that Allow names.'),
  'illegal-transition': meaning(409, 'Not possible in the present state', 'Choose one of the verbs in possible.'),
  'approval-settled': meaning(409, 'The approval has been settled', 'A new run of the plan asks for a new approval.'),
  'review-given': meaning(409, 'The review has been given', 'A review is given once; verdict says which way.'),
  'approval-mismatch': meaning(
    409,
    'The mission awaits another approval',
    'Read the mission and rule on the approval it names.',
  ),
  'rebuild-running': meaning(
    409,
    'The projection is being rebuilt',
    'Watch it with GET /v1/system/projections/{projection}.',
  ),
  'request-in-flight': meaning(
    409,
    'The same request is being carried out',
    'Send it again in a moment; the key makes that safe.',
  ),
  'operator-required': meaning(403, 'Only an operator may rule', 'Ask an operator with a session of their own.'),
  'own-request': meaning(403, 'Nobody rules on their own request', 'Ask another operator.'),
  'body-too-large': meaning(413, 'The body is too large', 'Send at most 1 MiB; larger things travel as artifacts.'),
  'file-too-large': meaning(413, 'The file is too large', 'NEXUSMON_UPLOAD_BYTES_MAX says how large one may be.'),
  'request-late': meaning(408, 'The request did not arrive in time', 'Send it again without standing still.'),
  'media-type-unsupported': meaning(
    415,
    'The media type is not supported',
    'Send the Content-Type that errors[] names.',
  ),
  'schema-violated': meaning(422, 'The request does not fit its schema', 'Correct the fields in errors[].'),
  'idempotency-key-reused': meaning(
    422,
    'The Idempotency-Key was used for something else',
    'Use a new key for a new request.',
  ),
  'plan-invalid': meaning(422, 'The plan cannot run', 'Correct the places in errors[].'),
  'plan-too-large': meaning(422, 'The plan is too large', 'Shorten what errors[] names, or make several missions.'),
  'egress-not-allowed': meaning(422, 'The host may not be asked', 'Add the host to NEXUSMON_FETCH_HOSTS.'),
  'path-outside-roots': meaning(
    422,
    'The path is outside the allowed roots',
    'Add the folder to NEXUSMON_ALLOWED_PATHS.',
  ),
  'reason-required': meaning(422, 'A reason is required', 'Send reason in the body.'),
  'commit-too-large': meaning(422, 'Too large for the log', 'Put large values into the vault and refer to them.'),
  'locked-out': meaning(
    429,
    'Too many wrong operator keys',
    'Wait as Retry-After says: until then no key is looked at, and no try counts.',
  ),
  'too-many-requests': meaning(429, 'Too many requests', 'Wait as Retry-After says.'),
  'too-many-uploads': meaning(429, 'Too many uploads at once', 'Wait as Retry-After says.'),
  'internal-fault': meaning(500, 'The gateway failed', 'Report trace_id to whoever runs this NEXUSMON.'),
  'artifact-corrupt': meaning(
    500,
    'The stored bytes are not those that were recorded',
    'Restore the blob from a backup.',
  ),
  'artifact-deleted': meaning(410, 'The artifact was deleted', 'Its bytes are gone for good; its metadata says why.'),
  'mission-running': meaning(409, 'The mission has not ended', 'Cancel it, or wait until it has ended.'),
  'artifact-lost': meaning(500, 'The stored bytes are gone', 'Restore the blob from a backup.'),
  'range-not-satisfiable': meaning(416, 'The range begins behind the end', 'Content-Range says how long it is.'),
  'input-unknown': meaning(422, 'An input is no artifact', 'GET /v1/vault/artifacts lists them.'),
  'service-unavailable': meaning(
    503,
    'Something this answer depends on is away',
    'Send the request again; with an Idempotency-Key it is done once.',
  ),
  'upload-lost': meaning(503, 'What had come of the upload is gone', 'Send the file again.'),
  'log-read-only': meaning(503, 'The log is read-only', 'GET /v1/system/health says why.'),
  'store-full': meaning(507, 'The object storage is full', 'Make room on its disk, or delete artifacts.'),
  'position-not-reached': meaning(504, 'The position was not reached in time', 'Send the request again.'),
} as const satisfies Record<string, Meaning>;
export type ProblemCode = keyof typeof PROBLEMS;

export const problemDocument = z
  .object({
    type: z.string().describe('Where the code is explained.'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().describe('Stable: what programs should look at.'),
    errors: z.array(fieldError).optional(),
    trace_id: z.string(),
    hint: z.string().describe('What to do next.'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. Facts such as status and possible may stand beside these fields.' });

export type ProblemDetails = Readonly<{
  detail: string;
  errors?: readonly FieldError[] | undefined;
  facts?: Readonly<Record<string, unknown>> | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}>;

/** A refusal on its way to HTTP. Thrown inside the gateway only: one error path ends every request. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly details: ProblemDetails;

  constructor(
    readonly code: string,
    details: ProblemDetails | string,
    readonly meaning: Meaning = PROBLEMS[code as ProblemCode],
  ) {
    const given = typeof details === 'string' ? { detail: details } : details;
    super(`${code}: ${given.detail}`);
    this.status = meaning.status;
    this.details = given;
  }
}

export const problem = (code: ProblemCode, details: ProblemDetails | string): Problem => new Problem(code, details);

export const isProblem = (error: unknown, code: ProblemCode): error is Problem =>
  error instanceof Problem && error.code === code;

export const field = (path: string, message: string): FieldError => ({ path, message });

/** The document itself. Facts stand beside the standard members and never replace one. */
export const renderProblem = (failure: Problem, instance: string, trace_id: string): Record<string, unknown> => ({
  ...failure.details.facts,
  type: `/docs#${failure.code}`,
  title: failure.meaning.title,
  status: failure.status,
  detail: failure.details.detail,
  instance,
  code: failure.code,
  ...(failure.details.errors && failure.details.errors.length > 0 ? { errors: failure.details.errors } : {}),
  trace_id,
  hint: failure.meaning.hint,
});

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** What a service may call `status` (of a mission) must not hide the HTTP status: it travels as `state` too. */
const factsOf = (refusal: Refusal) => {
  const { status, ...facts } = refusal.facts ?? {};
  return status === undefined ? facts : { ...facts, state: status };
};

const ofRefusal = (refusal: Refusal): Problem => {
  const details = { detail: refusal.detail, errors: refusal.errors, facts: factsOf(refusal) };
  if (isProblemCode(refusal.code)) return new Problem(refusal.code, details);
  // A service's new code: refused for good, whatever the reason.
  return new Problem(refusal.code, details, meaning(422, 'Refused', 'The detail says why.'));
};

export const unavailable = (dependency: string, detail: string, retry_after_seconds = 1): Problem =>
  new Problem('service-unavailable', {
    detail,
    facts: { dependency },
    headers: { 'retry-after': String(Math.max(1, Math.ceil(retry_after_seconds))) },
  });

type Done<Body> = Extract<Reply<Body>, { kind: 'done' }>;

/** The answer of a service, or the problem it has become. */
export const settled = <Body>(reply: Reply<Body>): Done<Body> => {
  switch (reply.kind) {
    case 'done':
      return reply;
    case 'refused':
      throw ofRefusal(reply.refusal);
    case 'unavailable': {
      const { dependency, code, detail, retry_after_seconds } = reply.unavailable;
      if (code === 'log-read-only') throw problem(code, detail); // No later attempt is better.
      throw unavailable(dependency, detail, retry_after_seconds);
    }
  }
};
