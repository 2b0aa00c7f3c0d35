import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import { sessionEvents, type SessionEvent } from './index.js';

type Examples = { [Name in SessionEvent['type']]: readonly Extract<SessionEvent, { type: Name }>['data'][] };

const examples: Examples = {
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

describe('the recorded session events', () => {
  it('are read for ever, and change only by a new version', () => {
    expect(checkCorpus(sessionEvents, join(import.meta.dirname, '../corpus'), examples)).toEqual([]);
  });
});
