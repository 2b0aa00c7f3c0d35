import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { readConfig, readSecrets } from '@nexusmon/config';
import { newId, subjectOf } from '@nexusmon/event-log';
import { connectNats, inboxPrefixOf, RequestMux } from '@nexusmon/messaging';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import type { Keyring } from '@nexusmon/keys';
import { LogFeed } from '@nexusmon/projections';
import { LogScrub } from './log-scrub.js';

const servers = await testServers({ own: true });
const config = readConfig({ NATS_URL: servers.nats_url, NEXUSMON_SECRETS: servers.secrets_dir });

it('a log with a message that is no commit of ours becomes read-only, with the reason', async () => {
  const log = silentLogger();
  const { nats_user: user, nats_password: password } = readSecrets(config, 'admin');
  const connection = await connectNats({ url: config.nats.url, user, password, name: 'spec' }, log);
  const streams = [{ number: 0, name: 'NEXUSMON_EVENTS_0' }];
  const begin = (options: Parameters<LogScrub['start']>[0]) => {
    const damages: string[] = [];
    const mux = new RequestMux(connection, inboxPrefixOf(user));
    const onDamage = (reason: string) => damages.push(reason);
    const scrub = new LogScrub({ connection, mux, streams, log, onDamage });
    void scrub.start(options);
    const reaches = async (state: string) => {
      while (scrub.state.state !== state) await pause(5);
      return damages;
    };
    return { scrub, reaches };
  };
  const going = begin({ go_on_after_ms: 10 });
  expect(await going.reaches('sound')).toEqual([]);
  expect((await (await jetstreamManager(connection)).streams.info('NEXUSMON_EVENTS_0')).state.messages).toBe(0);
  const subject = subjectOf('mission', 'mission', newId('msn'));
  const schema = headers();
  schema.set('Nexusmon-Schema', '1');
  await jetstream(connection).publish(subject, 'garbage', { headers: schema });
  const damaged = [expect.stringContaining(`message 1 on ${subject}`)];
  const next = begin({});
  // By the one that had read the log before it was damaged, and by the one that begins afterwards.
  for (const { scrub, reaches } of [going, next]) {
    expect(await reaches('damaged')).toEqual(damaged);
    scrub.close();
  }

  const feed = await LogFeed.connect({ connection, streams: 1, log });
  feed.openWith({} as Keyring);
  const told: string[] = [];
  feed.onDamage((reason) => told.push(reason));
  const follower = feed.follow(new Map());
  feed.start();
  const [commit] = await follower.take(1);
  // Nobody has looked at what is in it; whoever does is not the only one to know.
  expect(told).toEqual([]);
  expect(() => commit?.names).toThrow('line 1 is not JSON');
  expect(() => commit?.names).toThrow('line 1 is not JSON');
  expect(told).toEqual([expect.stringContaining(`message 1 on ${subject}`)]);
  await feed.close();
  await connection.close();
});
