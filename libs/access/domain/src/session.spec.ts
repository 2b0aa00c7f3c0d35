import { describe, expect, it } from '@jest/globals';
import { sessionDocument, type SessionEvent } from '@nexusmon/access-contract';
import { secondsAfter } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import {
  bindingMatches,
  isOpenAt,
  nextDueAt,
  session,
  toDocument,
  type EndReason,
  type SessionCommand,
} from './session.js';

const { given, history, fold } = specify(session);

const [ada, clock] = ['operator:ada', 'service:clock'];
const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
const EXPIRES = 100;
const binding = { user_agent_digest: 'a'.repeat(64), address_prefix: '10.0.0.0/24' };
const data = { session_id: 'ses_0190b6c1-0000-7000-8000-000000000001', account: ada, binding, expires_at: at(EXPIRES) };

const open = (over: object = {}, seconds = 0): SessionCommand => ({
  type: 'OpenSession',
  actor: ada,
  time: at(seconds),
  data: { ...data, ...over },
});
const end = (why: EndReason, seconds = 1): SessionCommand => ({
  type: 'EndSession',
  actor: ada,
  time: at(seconds),
  data: { why },
});
const tick = (seconds: number): SessionCommand => ({ type: 'Tick', actor: clock, time: at(seconds), data: {} });
const opened: SessionEvent = { type: 'SessionOpened', actor: ada, time: at(0), data };
const ended = (why: EndReason, seconds = 1, actor = ada): SessionEvent => ({
  type: 'SessionEnded',
  actor,
  time: at(seconds),
  data: { why },
});

describe('a session', () => {
  it('opens', () => given().when(open()).then(opened));
  it('does not open past its expiry (S1)', () =>
    given().when(open({}, EXPIRES)).thenRejected({ code: 'session-expired' }));
  it('ignores a repeated opening (S4)', () => given(opened).when(open({}, 1)).thenNothing());
  it('opens once (S1)', () => {
    given(opened)
      .when(open({ account: 'operator:bob' }))
      .thenRejected({ code: 'session-exists' });
    given(opened)
      .when(open({ expires_at: at(999) }))
      .thenRejected({ code: 'session-exists' });
    given(opened, ended('logout')).when(open()).thenRejected({ code: 'session-exists' });
  });
  it.each(['logout', 'revoked', 'binding_mismatch'] as const)('ends by %s', (why) =>
    given(opened).when(end(why)).then(ended(why)),
  );
  it('ends once (S2)', () => {
    given(opened, ended('logout')).when(end('revoked')).thenNothing();
    given(opened, ended('logout')).when(tick(EXPIRES)).thenNothing();
  });
  it.each([end('logout'), tick(1)])('refuses $type before it is there', (command) =>
    given().when(command).thenRejected({ code: 'session-not-found' }),
  );
  it('is over at its expiry, to the millisecond (S3)', () => {
    given(opened)
      .when(tick(EXPIRES - 0.001))
      .thenNothing();
    given(opened)
      .when(end('expired', EXPIRES - 0.001))
      .thenNothing();
    given(opened)
      .when(tick(EXPIRES))
      .then(ended('expired', EXPIRES, clock));
    given(opened).when(end('expired', EXPIRES)).then(ended('expired', EXPIRES));
    given(opened).when(end('logout', EXPIRES)).then(ended('expired', EXPIRES));
  });
  it('counts while it is open and not over (S3)', () => {
    expect(isOpenAt(fold([opened]), at(EXPIRES - 0.001))).toBe(true);
    expect(isOpenAt(fold([opened]), at(EXPIRES))).toBe(false);
    expect(isOpenAt(fold([opened, ended('logout')]), at(2))).toBe(false);
    expect(isOpenAt(session.initial, at(2))).toBe(false);
  });
  it('says when it is over by itself', () => {
    expect(nextDueAt(fold([opened]))).toBe(at(EXPIRES));
    expect(nextDueAt(fold([opened, ended('logout')]))).toBeUndefined();
  });
  it('has a document without its binding', () => {
    const state = fold([opened, ended('revoked')]);
    const document = state.status === 'absent' ? undefined : sessionDocument.parse(toDocument(state, at(2)));
    expect(document).toEqual({
      session_id: data.session_id,
      account: ada,
      status: 'ended',
      opened_at: at(0),
      expires_at: at(EXPIRES),
      ended_at: at(1),
      why: 'revoked',
    });
  });
  it('is shown as ended from its expiry on, also before that is recorded (S3)', () => {
    const state = fold([opened]);
    if (state.status === 'absent') throw new Error('it was opened');
    expect(toDocument(state, at(EXPIRES - 0.001)).status).toBe('open');
    expect(toDocument(state, at(EXPIRES))).toMatchObject({ status: 'ended', ended_at: at(EXPIRES), why: 'expired' });
  });
  it('opens and ends once, in time, whatever arrives (S1 to S3)', () => {
    const anyCommand = fc.constantFrom(
      open(),
      open({ account: 'operator:bob' }),
      end('logout'),
      end('revoked'),
      end('expired'),
      tick(0),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyCommand, fc.constantFrom(0, 1, 30, 60)), { maxLength: 12, size: 'max' }),
        (steps) => {
          let seconds = 0;
          const [first, second, ...rest] = history(
            steps.map(([command, later]) => ({ ...command, time: at((seconds += later)) })),
          );
          expect(rest).toEqual([]);
          if (first?.type === 'SessionOpened') expect(first.time < first.data.expires_at).toBe(true);
          else expect(first).toBeUndefined();
          if (second?.type !== 'SessionEnded') return expect(second).toBeUndefined();
          expect(second.data.why === 'expired').toBe(second.time >= at(EXPIRES));
        },
      ),
    );
  });
});

describe('a binding', () => {
  const other_agent = { ...binding, user_agent_digest: 'b'.repeat(64) };
  const other_network = { ...binding, address_prefix: '10.0.1.0/24' };
  it.each([
    ['strict', binding, true],
    ['strict', other_agent, false],
    ['strict', other_network, false],
    ['prefix', binding, true],
    ['prefix', other_agent, false],
    ['prefix', other_network, false],
    ['agent', other_network, true],
    ['agent', other_agent, false],
  ] as const)('of mode %s, seen as %j, matches: %s', (mode, seen, matches) =>
    expect(bindingMatches(mode, binding, seen)).toBe(matches),
  );
});
