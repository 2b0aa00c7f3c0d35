import { describe, expect, it } from '@jest/globals';
import { tokenDocument, type TokenEvent } from '@nexusmon/access-contract';
import { secondsAfter } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { isActiveAt, token, toTokenDocument, type TokenCommand } from './token.js';

const { given, history, fold } = specify(token);

const [ada, program] = ['operator:ada', 'token:tok_1'];
const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
const YEAR = 365 * 86_400;
const EXPIRES = 10_000;
const data = {
  token_id: 'tok_0190b6c1-0000-7000-8000-000000000001',
  account: ada,
  name: 'nightly report',
  scopes: ['missions:read'],
  rank_ceiling: 'B',
  expires_at: at(EXPIRES),
  secret_digest: 'a'.repeat(64),
} as const;

const issue = (over: object = {}, seconds = 0): TokenCommand => ({
  type: 'IssueToken',
  actor: ada,
  time: at(seconds),
  data: { ...data, scopes: [...data.scopes], ...over },
});
const use = (seconds: number): TokenCommand => ({ type: 'RecordUse', actor: program, time: at(seconds), data: {} });
const revoke = (seconds: number): TokenCommand => ({ type: 'RevokeToken', actor: ada, time: at(seconds), data: {} });
const issued: TokenEvent = {
  type: 'TokenIssued',
  actor: ada,
  time: at(0),
  data: { ...data, scopes: [...data.scopes] },
};
const used = (seconds: number): TokenEvent => ({ type: 'TokenUsed', actor: program, time: at(seconds), data: {} });
const revoked = (seconds: number): TokenEvent => ({ type: 'TokenRevoked', actor: ada, time: at(seconds), data: {} });

describe('a token', () => {
  it('is issued', () => given().when(issue()).then(issued));
  it.each([
    [at(0), 'token-expiry-invalid'],
    [at(YEAR + 0.001), 'token-expiry-invalid'],
  ] as const)('is not issued until %s (T1)', (expires_at, code) =>
    given().when(issue({ expires_at })).thenRejected({ code }),
  );
  it('may last a year to the millisecond (T1)', () => {
    expect(history([issue({ expires_at: at(YEAR) })])).toHaveLength(1);
  });
  it('is issued once (T1, T4)', () => {
    given(issued).when(issue({}, 1)).thenNothing();
    given(issued)
      .when(issue({ secret_digest: 'b'.repeat(64) }))
      .thenRejected({ code: 'token-exists' });
    given(issued, revoked(1)).when(issue()).thenRejected({ code: 'token-exists' });
  });
  it('is revoked, once (T2)', () => {
    given(issued).when(revoke(1)).then(revoked(1));
    given(issued, revoked(1)).when(revoke(2)).thenNothing();
    given(issued, revoked(1)).when(use(2)).thenNothing();
  });
  it('is over at its expiry, to the millisecond (T2)', () => {
    given(issued)
      .when(use(EXPIRES - 0.001))
      .then(used(EXPIRES - 0.001));
    given(issued).when(use(EXPIRES)).thenNothing();
    given(issued).when(revoke(EXPIRES)).thenNothing();
    expect(isActiveAt(fold([issued]), at(EXPIRES - 0.001))).toBe(true);
    expect(isActiveAt(fold([issued]), at(EXPIRES))).toBe(false);
    expect(isActiveAt(fold([issued, revoked(1)]), at(2))).toBe(false);
    expect(isActiveAt(token.initial, at(2))).toBe(false);
  });
  it('says once in five minutes that it is used (T3)', () => {
    given(issued).when(use(1)).then(used(1));
    given(issued, used(1)).when(use(300.999)).thenNothing();
    given(issued, used(1)).when(use(301)).then(used(301));
  });
  it.each([use(1), revoke(1)])('refuses $type before it is there', (command) =>
    given().when(command).thenRejected({ code: 'token-not-found' }),
  );

  const documentOf = (events: readonly TokenEvent[], seconds: number) => {
    const state = fold(events);
    return state.status === 'absent' ? undefined : tokenDocument.parse(toTokenDocument(state, at(seconds)));
  };
  it('has a document without its secret', () => {
    const { secret_digest, ...shown } = data;
    void secret_digest;
    const told = { ...shown, issued_at: at(0) };
    expect(documentOf([issued], 1)).toEqual({ ...told, status: 'active' });
    expect(documentOf([issued], EXPIRES)).toEqual({ ...told, status: 'expired' });
    const ended = { status: 'revoked', last_used_at: at(1), revoked_at: at(2) };
    expect(documentOf([issued, used(1), revoked(2)], EXPIRES)).toEqual({ ...told, ...ended });
  });

  it('is issued once, ends once, and is seldom recorded as used, whatever arrives (T1 to T4)', () => {
    const anyCommand = fc.constantFrom(issue, use, revoke);
    const anyGap = fc.constantFrom(0, 1, 200, 300, 6_000);
    fc.assert(
      fc.property(fc.array(fc.tuple(anyCommand, anyGap), { maxLength: 20, size: 'max' }), (steps) => {
        let seconds = 0;
        const events = history(
          steps.map(([make, later]) => {
            seconds += later;
            return make === issue ? issue({}, seconds) : (make as typeof use)(seconds);
          }),
        );
        const names = events.map(({ type }) => type);
        expect(names.indexOf('TokenIssued')).toBeLessThanOrEqual(0);
        expect(names.lastIndexOf('TokenIssued')).toBeLessThanOrEqual(0);
        const end = names.indexOf('TokenRevoked');
        if (end >= 0) expect(end).toBe(names.length - 1);
        const uses = events.filter(({ type }) => type === 'TokenUsed').map(({ time }) => time);
        for (const [index, time] of uses.entries()) {
          expect(time < at(EXPIRES)).toBe(true);
          if (index > 0) expect(time >= secondsAfter(uses[index - 1] ?? '', 300)).toBe(true);
        }
      }),
    );
  });
});
