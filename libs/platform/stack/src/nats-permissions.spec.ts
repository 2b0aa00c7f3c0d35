import { describe, expect, it } from '@jest/globals';
import { natsConfig } from './nats.js';
import { CONTEXTS, permissionsOf } from './nats-permissions.js';

const config = JSON.parse(
  natsConfig({
    data_dir: '/data/nats',
    port: 20_001,
    monitor_port: 20_002,
    users: CONTEXTS.map((context) => ({ context, user: context, password: `secret of ${context}` })),
  }),
) as {
  listen: string;
  http: string;
  jetstream: Record<string, string>;
  authorization: { users: { user: string; permissions: Record<'publish' | 'subscribe', { allow: string[] }> }[] };
};

describe('a user of NATS', () => {
  it.each(CONTEXTS)('%s has no empty list, which would allow everything (N5)', (context) => {
    const { publish, subscribe } = permissionsOf(context);
    expect(publish.length).toBeGreaterThan(0);
    expect(subscribe.length).toBeGreaterThan(0);
  });

  it.each(CONTEXTS.filter((context) => context !== 'admin'))(
    '%s has no wildcard that reaches streams (N2)',
    (context) => {
      const reaching = permissionsOf(context).publish.filter((subject) =>
        /^(>|\*|\$JS\.(API\.)?>|\$SYS)/.test(subject),
      );
      expect(reaching).toEqual([]);
    },
  );

  it.each(CONTEXTS.filter((context) => context !== 'admin'))('%s has the only key to its inbox (N4)', (context) => {
    const inboxes = permissionsOf(context).subscribe.filter((subject) => subject.startsWith('_INBOX'));
    expect(inboxes).toEqual([`_INBOX_${context}.>`]);
  });
});

describe('the configuration of NATS', () => {
  it('listens on loopback, its monitor too', () => {
    expect([config.listen, config.http]).toEqual(['127.0.0.1:20001', '127.0.0.1:20002']);
  });

  it('acknowledges after the fsync', () => {
    expect(config.jetstream).toMatchObject({ sync_interval: 'always', store_dir: '/data/nats/store' });
  });

  it('names every user with its lists', () => {
    expect(config.authorization.users.map(({ user }) => user)).toEqual([...CONTEXTS]);
    for (const { permissions } of config.authorization.users)
      expect([permissions.publish.allow.length, permissions.subscribe.allow.length]).not.toContain(0);
  });
});
