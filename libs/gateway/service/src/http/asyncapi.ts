// /asyncapi.json: the events of the log as AsyncAPI 3, from the catalogues that they are written and read by.

import { PARTITIONS, type Aggregate } from '@nexusmon/event-log';
import type { Message, Rejection } from '@nexusmon/kernel';
import { cloudEvent } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { Components, type JsonSchema } from './components.js';

/** What may lie in the log, by its contract. */
export type Logged = Readonly<Pick<Aggregate<unknown, Message, Message, Rejection>, 'context' | 'name' | 'events'>>;

const { type: _, data: __, ...envelope } = cloudEvent.shape;
void [_, __];

const messagesOf = ({ context, events }: Logged, components: Components): Record<string, JsonSchema> =>
  Object.fromEntries(
    Object.entries(events).flatMap(([name, { versions }]) =>
      versions.map((data, index) => {
        const type = `nexusmon.${context}.${name}.v${index + 1}`;
        const payload = z.strictObject({ ...envelope, type: z.literal(type), data });
        return [
          `${name}.v${index + 1}`,
          { name: type, title: name, contentType: 'application/json', payload: components.schemaOf(payload, 'output') },
        ];
      }),
    ),
  );

const channelOf = (logged: Logged, components: Components): JsonSchema => {
  const { context, name } = logged;
  return {
    address: `evt.{pp}.${context}.${name}.{id}`,
    description: `The events of one ${context} ${name}. A message is one decision: a JSON array of these, on its first line.`,
    servers: [{ $ref: '#/servers/log' }],
    parameters: {
      pp: { description: `00 to ${PARTITIONS - 1}: a fixed hash of the id.` },
      id: { description: `The id of the ${name}: subject of its events.` },
    },
    messages: messagesOf(logged, components),
  };
};

const keyOf = ({ context, name }: Logged): string => `${context}_${name}`;

const refsOf = (channel: JsonSchema, into: string): JsonSchema[] =>
  Object.keys(channel['messages'] as object).map((message) => ({
    $ref: `#/channels/${into}/messages/${message.replaceAll('~', '~0').replaceAll('/', '~1')}`,
  }));

/** The stream carries every event of the log, opened, and where it stands. */
const streamOf = (channels: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  address: '/v1/events',
  description: 'Every event of the log as server-sent events; id is its position, which Last-Event-ID resumes behind.',
  servers: [{ $ref: '#/servers/gateway' }],
  messages: Object.fromEntries(
    Object.entries(channels).flatMap(([key, { messages }]) =>
      Object.keys(messages as object).map((name) => [`${key}.${name}`, { $ref: `#/channels/${key}/messages/${name}` }]),
    ),
  ),
});

export const makeAsyncApi = (all: readonly Logged[], version: string): JsonSchema => {
  const components = new Components();
  const channels = Object.fromEntries(all.map((logged) => [keyOf(logged), channelOf(logged, components)]));
  const written = all.map((logged) => [
    `write_${keyOf(logged)}`,
    {
      action: 'send',
      channel: { $ref: `#/channels/${keyOf(logged)}` },
      messages: refsOf(channels[keyOf(logged)] ?? {}, keyOf(logged)),
    },
  ]);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'NEXUSMON: the events',
      version,
      description: 'CloudEvents 1.0. In the log, fields that are marked sealed are ciphertext; the stream opens them.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      log: { host: 'localhost', protocol: 'nats', description: 'NATS JetStream, inside the system.' },
      gateway: { host: 'localhost', protocol: 'http', description: 'The gateway.' },
    },
    channels: { ...channels, events: streamOf(channels) },
    operations: {
      ...Object.fromEntries(written),
      follow_events: { action: 'send', channel: { $ref: '#/channels/events' } },
    },
    components: { schemas: components.schemas },
  };
};
