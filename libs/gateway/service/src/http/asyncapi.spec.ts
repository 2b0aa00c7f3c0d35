import { describe, expect, it } from '@jest/globals';
import { READABLE } from '../stream/event-streams.js';
import { makeAsyncApi } from './asyncapi.js';

type Node = Readonly<Record<string, unknown>>;
const document = JSON.parse(JSON.stringify(makeAsyncApi(READABLE, '1.2.3'))) as Node;

const refsIn = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    name === '$ref' && typeof item === 'string' ? [item] : refsIn(item),
  );
};
const resolve = (ref: string): unknown =>
  ref
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>(
      (node, step) => (node as Node | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
      document,
    );

describe('the description of the events', () => {
  it('is AsyncAPI 3 with a channel for every kind of aggregate, and one for the stream', () => {
    expect(document).toMatchObject({ asyncapi: '3.0.0', info: { version: '1.2.3' } });
    const expected = READABLE.map(({ context, name }) => `${context}_${name}`);
    expect(Object.keys(document['channels'] as Node)).toEqual([...expected, 'events']);
  });
  it('has every version of every event that may lie in the log', () => {
    const { messages } = (document['channels'] as Record<string, { messages: Node }>)['events'] ?? { messages: {} };
    const versions = READABLE.flatMap(({ context, name, events }) =>
      Object.entries(events).flatMap(([event, { versions }]) =>
        versions.map((_, index) => `${context}_${name}.${event}.v${index + 1}`),
      ),
    );
    expect(Object.keys(messages).sort()).toEqual(versions.sort());
    expect(versions.length).toBeGreaterThan(30);
  });
  it('refers to nothing that it does not hold', () => {
    const refs = new Set(refsIn(document));
    expect(refs.size).toBeGreaterThan(30);
    for (const ref of refs) expect({ ref, found: resolve(ref) }).toEqual({ ref, found: expect.any(Object) });
  });
  it('says what is sealed in the log', () => {
    const given = resolve(
      '#/channels/governance_review/messages/ReviewGiven.v1/payload/properties/data/properties/reason',
    );
    expect(given).toMatchObject({ type: 'string', sealed: true });
  });
});
