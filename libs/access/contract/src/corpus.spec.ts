import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import {
  lockoutEvents,
  sessionEvents,
  tokenEvents,
  type LockoutEvent,
  type SessionEvent,
  type TokenEvent,
} from './index.js';

type Examples<Event extends { type: string; data: object }> = {
  [Name in Event['type']]: readonly Extract<Event, { type: Name }>['data'][];
};

const session_examples: Examples<SessionEvent> = {
  SessionOpened: [
    {
      session_id: 'ses_01a1f92f-b547-73d1-9c2a-bf6fb4a26447',
      account: 'operator:owner',
      binding: {
        user_agent_digest: '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8',
        address_prefix: '127.0.0.0/24',
      },
      expires_at: '2026-12-20T13:40:15.816Z',
    },
  ],
  SessionEnded: [{ why: 'logout' }, { why: 'revoked' }, { why: 'binding_mismatch' }, { why: 'expired' }],
};

const lockout_examples: Examples<LockoutEvent> = {
  AttemptRefused: [
    {
      scope: 'address',
      whom: '2001:db8:1:2::/64',
      place: 'login',
      compared: true,
      failures: 1,
      known_from: '2026-11-20T13:40:16.066Z',
      locked_until: '2026-11-20T13:40:45.816Z',
    },
    {
      scope: 'account',
      whom: 'operator:owner',
      place: 'header',
      compared: false,
      failures: 10,
      known_from: '2026-11-20T13:40:16.066Z',
      locked_until: '2026-11-20T14:40:15.816Z',
    },
  ],
};

const token_examples: Examples<TokenEvent> = {
  TokenIssued: [
    {
      token_id: 'tok_01a1f92f-b547-73d1-9c2a-bf6fb4a26447',
      account: 'operator:owner',
      name: 'nightly report',
      scopes: ['missions:read', 'missions:write', 'admin'],
      rank_ceiling: 'C',
      expires_at: '2027-02-18T13:40:15.816Z',
      secret_digest: '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8',
    },
  ],
  TokenUsed: [{}],
  TokenRevoked: [{}],
};

describe('the recorded events of access', () => {
  it('are read for ever, and change only by a new version', () => {
    const events = { ...sessionEvents, ...lockoutEvents, ...tokenEvents };
    const examples = { ...session_examples, ...lockout_examples, ...token_examples };
    expect(checkCorpus(events, join(import.meta.dirname, '../corpus'), examples)).toEqual([]);
  });
});
