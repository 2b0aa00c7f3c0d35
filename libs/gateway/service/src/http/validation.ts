// What a request must look like before a handler sees it. Everything that is wrong is named at once.

import type { FieldError } from '@nexusmon/shared-contract';
import { isKeepable, UNKEEPABLE_TEXT } from '@nexusmon/shared-contract';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ReadBody } from './body.js';
import { parseJson, pathText } from './json-guard.js';
import { field, isProblemCode, problem, type Problem } from './problem.js';
import type { Route } from './route.js';

const KEY_LENGTH_MAX = 255;
const KEY = /^[\x21-\x7e]+$/;

export const unwrapped = (schema: z.ZodType): z.ZodType =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? unwrapped(schema.unwrap() as z.ZodType) : schema;

/** Query values are text; where the schema wants a number or a boolean, and the text is exactly one, it becomes one. */
const typed = (value: unknown, schema: z.ZodType | undefined): unknown => {
  if (typeof value !== 'string' || !schema) return value;
  const wanted = unwrapped(schema);
  if (wanted instanceof z.ZodNumber) return /^-?(0|[1-9]\d{0,15})$/.test(value) ? Number(value) : value;
  if (wanted instanceof z.ZodBoolean) return value === 'true' ? true : value === 'false' ? false : value;
  return value;
};

/** One error for each field: an unknown field is named by its own path. */
export const fieldErrors = (error: z.ZodError): FieldError[] =>
  error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => field(pathText([...issue.path, key]), 'not a field that is known here'))
      : [field(pathText(issue.path), issue.message)],
  );

export const schemaViolated = (where: string, errors: FieldError[]): Problem => {
  const [first] = errors;
  return problem('schema-violated', {
    detail: first ? `${where}: ${first.path || where}: ${first.message}` : where,
    errors,
  });
};

const checkQuery = (schema: z.ZodObject, query: unknown): unknown => {
  const given = Object.entries(query as Record<string, unknown>);
  for (const [name, value] of given)
    if (![name, ...[value].flat()].every((text) => typeof text === 'string' && isKeepable(text)))
      throw schemaViolated('query', [field(name, UNKEEPABLE_TEXT)]);
  const shape = schema.shape as Record<string, z.ZodType>;
  const values = Object.fromEntries(
    given.map(([name, value]) => [name, typed(value, Object.hasOwn(shape, name) ? shape[name] : undefined)]),
  );
  const parsed = schema.safeParse(values);
  if (!parsed.success) throw schemaViolated('query', fieldErrors(parsed.error));
  return parsed.data;
};

/** An id that cannot be one names nothing: 404, as any other id that is not there. */
const checkParams = (schema: z.ZodObject | undefined, params: unknown): unknown => {
  if (!schema) return {};
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error);
  const what = errors[0]?.path.replace(/_id$/, '') ?? '';
  const code = `${what}-not-found`;
  throw problem(isProblemCode(code) ? code : 'not-found', { detail: `there is no such ${what || 'thing'}`, errors });
};

/** The JSON of a body; undefined where there is none. */
export const bodyOf = (request: FastifyRequest): unknown => {
  const read = request.body as ReadBody | undefined;
  if (read === undefined) return undefined;
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw problem('media-type-unsupported', {
      detail: `the body must be UTF-8, not ${charset}`,
      errors: [field('Content-Type', 'expected charset=utf-8')],
    });
  if (read.kind === 'too_large')
    throw problem('body-too-large', {
      detail: 'the body is larger than 1 MiB',
      headers: read.drained ? {} : { connection: 'close' },
    });
  return read.bytes.length === 0 ? undefined : parseJson(read.bytes);
};

/** A missing body reads as `{}`: verbs need none, and for others the missing fields are named. */
const checkBody = (schema: z.ZodType | undefined, body: unknown): unknown => {
  if (!schema) {
    if (body === undefined || (typeof body === 'object' && body !== null && Object.keys(body).length === 0))
      return undefined;
    throw schemaViolated('body', [field('', 'this route takes no body')]);
  }
  const parsed = schema.safeParse(body === undefined ? {} : body);
  if (!parsed.success) throw schemaViolated('body', fieldErrors(parsed.error));
  return parsed.data;
};

/** A header that may stand once. Node joins repeats with a comma, which would hide them. */
export const singleHeader = (request: FastifyRequest, name: string): string | undefined => {
  const values = request.raw.headersDistinct[name.toLowerCase()];
  if (!values || values.length === 0) return undefined;
  if (values.length > 1)
    throw problem('malformed-header', {
      detail: `${name} stands more than once`,
      errors: [field(name, 'send it once')],
    });
  return values[0];
};

export const idempotencyKey = (request: FastifyRequest): string | undefined => {
  const key = singleHeader(request, 'Idempotency-Key');
  if (key === undefined || (key.length <= KEY_LENGTH_MAX && KEY.test(key))) return key;
  const message = `expected 1 to ${KEY_LENGTH_MAX} visible ASCII characters`;
  throw problem('malformed-header', {
    detail: `Idempotency-Key: ${message}`,
    errors: [field('Idempotency-Key', message)],
  });
};

export type Validated = Readonly<{ params: unknown; query: unknown; body: unknown; raw_body: unknown }>;

/** Made once for each route: a schema that is derived for every request costs more than the request. */
export const makeValidator = (route: Route): ((request: FastifyRequest) => Validated) => {
  const query_schema = (route.query ?? z.object({})).strict();
  return (request) => {
    const params = checkParams(route.params, request.params);
    const has_body = route.method === 'POST' || route.body !== undefined;
    const raw_body = has_body ? bodyOf(request) : undefined;
    const query = checkQuery(query_schema, request.query);
    const body = has_body ? checkBody(route.body, raw_body) : undefined;
    return { params, query, body, raw_body };
  };
};
