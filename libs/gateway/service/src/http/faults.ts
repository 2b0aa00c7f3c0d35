// What may be thrown on the way to an answer, as a problem. Nothing of a fault but its kind reaches the caller (P2).

import { LogReadOnly } from '@nexusmon/event-log';
import { isDependent } from '@nexusmon/messaging';
import { field, problem, Problem, unavailable } from './problem.js';

const hasCode = (error: unknown): error is { code: string; statusCode?: unknown } =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string';

/** What Fastify refuses before a handler of ours runs. */
const ofFramework = (error: { code: string; statusCode?: unknown }): Problem | undefined => {
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problem('media-type-unsupported', {
        detail: 'the body must be sent as application/json',
        errors: [field('Content-Type', 'expected application/json')],
      });
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problem('body-too-large', 'the body is larger than 1 MiB');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return problem('not-found', 'a part of the path is longer than any id');
    case 'FST_ERR_BAD_URL':
      return problem('malformed-request', 'the path is not well encoded');
    default: {
      const { statusCode } = error;
      const isTheirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
      return isTheirs ? problem('malformed-request', 'the request cannot be read') : undefined;
    }
  }
};

export const problemOf = (error: unknown): Problem => {
  if (error instanceof Problem) return error;
  if (error instanceof LogReadOnly) return problem(error.code, error.message);
  if (isDependent(error)) return unavailable(error.dependency, `${error.dependency} is away`);
  const framework = hasCode(error) ? ofFramework(error) : undefined;
  if (framework) return framework;
  return problem('internal-fault', 'the gateway failed on this request; it has been logged');
};
