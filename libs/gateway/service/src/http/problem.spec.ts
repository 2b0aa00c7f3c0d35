import { describe, expect, it } from '@jest/globals';
import type { Reply } from '@nexusmon/shared-contract';
import { Problem, problem, PROBLEMS, renderProblem, settled } from './problem.js';

const refusalOf = (reply: Reply<unknown>): Problem => {
  try {
    settled(reply);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('the reply was accepted');
};

describe('a problem', () => {
  it.each([
    ['illegal-transition', 409],
    ['not-found', 404],
    ['operator-key-required', 403],
    ['reason-required', 422],
    ['idempotency-key-reused', 422],
    ['plan-invalid', 422],
    ['path-outside-roots', 422],
    ['log-read-only', 503],
    ['position-not-reached', 504],
  ] as const)('for the refusal %s has status %d (P3)', (code, status) => {
    const failure = refusalOf({ kind: 'refused', refusal: { code, detail: 'because' } });
    expect(failure.status).toBe(status);
    expect(renderProblem(failure, '/v1/x', 'f'.repeat(32))).toMatchObject({
      ...{ type: `/docs#${code}`, title: PROBLEMS[code].title, status, detail: 'because', instance: '/v1/x', code },
      ...{ trace_id: 'f'.repeat(32), hint: PROBLEMS[code].hint },
    });
  });

  it('carries errors and facts, and no fact replaces a standard member', () => {
    const facts = { status: 'completed', possible: ['rerun'], code: 'x', title: 'y', instance: 'z' };
    const errors = [{ path: 'plan/tasks/0', message: 'cycle' }];
    const failure = refusalOf({
      kind: 'refused',
      refusal: { code: 'illegal-transition', detail: 'it has ended', errors, facts },
    });
    expect(renderProblem(failure, '/i', 't')).toMatchObject({
      ...{ status: 409, state: 'completed', possible: ['rerun'], errors },
      ...{ code: 'illegal-transition', instance: '/i', title: PROBLEMS['illegal-transition'].title },
    });
  });

  it('for a code that no table has is final all the same', () => {
    const failure = refusalOf({ kind: 'refused', refusal: { code: 'not-on-sundays', detail: 'it is Sunday' } });
    expect([failure.status, failure.code]).toEqual([422, 'not-on-sundays']);
  });

  it('for something that is away names it and says when to come back', () => {
    const failure = refusalOf({
      kind: 'unavailable',
      unavailable: { dependency: 'postgres', detail: 'postgres is away', retry_after_seconds: 2.5 },
    });
    expect(failure.status).toBe(503);
    expect(failure.details).toMatchObject({ headers: { 'retry-after': '3' }, facts: { dependency: 'postgres' } });
  });

  it('passes an answer on', () => {
    const reply = { kind: 'done', changed: true, position: 'p', body: { a: 1 } } as const;
    expect(settled(reply)).toBe(reply);
  });

  it('has no errors member when nothing is to be named', () => {
    expect(renderProblem(problem('not-found', 'no'), '/', 't')).not.toHaveProperty('errors');
  });
});
