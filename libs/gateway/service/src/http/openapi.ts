// /openapi.json, from the schemas that validate. Nothing is described by hand, so nothing can be described wrongly.

import type { z } from 'zod';
import { FILE_FIELD, FORM_TYPE } from './forms.js';
import { Components, type JsonSchema } from './components.js';
import { isProblemCode, PROBLEMS, problemDocument, type ProblemCode } from './problem.js';
import type { HeaderName, Policy, ResponseDescription, Route } from './route.js';

const HEADERS: Readonly<Record<HeaderName, string>> = {
  'Idempotency-Key': 'The same key and body by the same principal name the same thing for good.',
  Prefer: '`wait=N` (RFC 7240): answer when the mission has ended, or after N seconds.',
  'X-Operator-Key': 'The operator key, where the gate asks for it.',
  'Last-Event-ID': 'Resume behind this event.',
  'If-None-Match': 'Answer 304 when the ETag is one of these.',
  Range: 'One range of bytes (RFC 9110); what is malformed, or several, is answered with the whole.',
  'If-Range': 'The ETag that the range is of; the whole is sent when it is another.',
};

/** What any route can answer with, beside its own. */
const COMMON: readonly ProblemCode[] = [
  'malformed-request',
  'schema-violated',
  'service-unavailable',
  'internal-fault',
  'too-many-requests',
  'operator-key-refused',
  'locked-out',
];
const BY_SESSION = ['credential-required', 'credential-invalid', 'session-ended', 'session-binding-mismatch'] as const;
const PROBLEMS_OF_ACCESS: Readonly<Record<Policy['access'], readonly ProblemCode[]>> = {
  public: [],
  operator: [...BY_SESSION, 'session-required'],
  scope: [...BY_SESSION, 'token-ended', 'scope-required'],
  operator_key: ['operator-key-invalid', 'locked-out', 'session-required'],
};
const BY_SESSION_SECURITY = [{ session: [] }, { session_cookie: [] }];
const SECURITY: Readonly<Record<Policy['access'], readonly object[]>> = {
  public: [],
  operator: BY_SESSION_SECURITY,
  scope: [...BY_SESSION_SECURITY, { api_token: [] }],
  operator_key: [],
};

/** Where the key in the body is one of several ways, the empty one says that it is enough. */
const securityOf = (policy: Policy): readonly object[] =>
  takesOther(policy) ? [...SECURITY.scope, {}] : SECURITY[policy.access];

const takesOther = (policy: Policy): boolean => policy.access === 'operator_key' && policy.or_scope !== undefined;

const parametersOf = (route: Route, components: Components): JsonSchema[] => {
  const of = (schema: z.ZodObject | undefined, where: 'path' | 'query') =>
    Object.entries((schema?.shape ?? {}) as Record<string, z.ZodType>).map(([name, item]) => ({
      name,
      in: where,
      required: where === 'path' || !item.safeParse(undefined).success,
      schema: components.schemaOf(item, 'input'),
    }));
  const headers = (route.headers ?? []).map((name) => ({
    name,
    in: 'header',
    required: false,
    description: HEADERS[name],
    schema: { type: 'string' },
  }));
  return [...of(route.params, 'path'), ...of(route.query, 'query'), ...headers];
};

/** OpenAPI 3.1 leaves the schema of bytes out; generators of clients look for this one. */
const BYTES: JsonSchema = { type: 'string', format: 'binary' };

const contentOf = ({ schema, media_type }: ResponseDescription, components: Components): JsonSchema | undefined => {
  if (schema) return { [media_type ?? 'application/json']: { schema: components.schemaOf(schema, 'output') } };
  if (media_type === undefined) return undefined;
  return { [media_type]: { schema: media_type === 'application/octet-stream' ? BYTES : {} } };
};

const contentOfBody = ({ body, form }: Route, components: Components): JsonSchema | undefined => {
  if (body) return { 'application/json': { schema: components.schemaOf(body, 'input') } };
  if (!form) return undefined;
  const { properties, required = [], ...rest } = components.schemaOf(form, 'input');
  const schema = {
    ...rest,
    properties: { ...(properties as JsonSchema), [FILE_FIELD]: BYTES },
    required: [...(required as string[]), FILE_FIELD],
  };
  return { [FORM_TYPE]: { schema } };
};

const requestOf = (route: Route, components: Components): JsonSchema => {
  const content = contentOfBody(route, components);
  if (!content) return {};
  const required = route.form !== undefined || route.body?.safeParse({}).success === false;
  return { requestBody: { required, content } };
};

const answerOf = (response: ResponseDescription, components: Components) => {
  const content = contentOf(response, components);
  return { description: response.description, ...(content ? { content } : {}) };
};

const notFoundOf = ({ params }: Route): ProblemCode[] =>
  Object.keys(params?.shape ?? {}).map((name) => {
    const code = `${name.replace(/_id$/, '')}-not-found`;
    return isProblemCode(code) ? code : 'not-found';
  });

const codesOfBody = ({ method, body, form }: Route): readonly ProblemCode[] => {
  if (form) return ['malformed-form', 'file-too-large', 'media-type-unsupported', 'request-late'];
  if (method !== 'POST' && !body) return [];
  return ['malformed-json', 'body-too-large', 'media-type-unsupported', 'request-late'];
};

const codesOf = (route: Route): ProblemCode[] => [
  ...COMMON,
  ...PROBLEMS_OF_ACCESS[route.policy.access],
  ...(takesOther(route.policy) ? PROBLEMS_OF_ACCESS.scope : []),
  ...notFoundOf(route),
  ...codesOfBody(route),
  ...(route.headers?.includes('Idempotency-Key') ? (['idempotency-key-reused', 'request-in-flight'] as const) : []),
  ...((route.problems ?? []) as ProblemCode[]),
];

const problemsOf = (route: Route, components: Components): Record<string, JsonSchema> => {
  const by_status = new Map<number, Set<ProblemCode>>();
  for (const code of codesOf(route)) {
    const { status } = PROBLEMS[code];
    by_status.set(status, (by_status.get(status) ?? new Set()).add(code));
  }
  const schema = components.schemaOf(problemDocument, 'output');
  return Object.fromEntries(
    [...by_status].map(([status, codes]) => [
      String(status),
      { description: [...codes].sort().join(', '), content: { 'application/problem+json': { schema } } },
    ]),
  );
};

const operationOf = (route: Route, components: Components): JsonSchema => {
  const answers = Object.entries(route.responses).map(([status, response]) => [status, answerOf(response, components)]);
  const parameters = parametersOf(route, components);
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.deprecated ? { deprecated: true, description: `Use ${route.deprecated.successor}.` } : {}),
    tags: [route.tag],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...requestOf(route, components),
    responses: { ...problemsOf(route, components), ...Object.fromEntries(answers) },
    security: securityOf(route.policy),
    'x-policy': route.policy,
  };
};

const operationId = ({ method, path }: Route): string =>
  `${method.toLowerCase()}${path.replaceAll(/[{}]/g, '').replaceAll(/[^A-Za-z0-9]+/g, '_')}`;

export const makeOpenApi = (routes: readonly Route[], version: string): JsonSchema => {
  const components = new Components();
  const paths: Record<string, JsonSchema> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operationOf(route, components);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'NEXUSMON',
      version,
      description:
        'Missions under governance. Errors are problem documents (RFC 9457); their codes are listed at /docs.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: {
        session: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        api_token: { type: 'http', scheme: 'bearer', bearerFormat: 'nx_<id>_<secret>' },
        session_cookie: { type: 'apiKey', in: 'cookie', name: 'nexusmon_session' },
      },
    },
  };
};
