import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readEvents, type ServerEvent } from './event-stream.js';

const bytes = (text: string) => new TextEncoder().encode(text);

const read = async (chunks: readonly Uint8Array[]) => {
  const place = { id: '', retry_ms: 1 };
  const events: ServerEvent[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const event of readEvents(source, place)) events.push(event);
  return { events, place };
};

const STREAM =
  'retry: 2000\nid: p0\n\n: heartbeat\n\nid: p1\ndata: {"a":"é漢"}\n\nevent: reset\r\ndata: x\r\ndata:  y\r\n\r\nid: p2\rdata\r\rid: p3\ndata: cut off';

const EXPECTED = [
  { id: 'p1', event: 'message', data: '{"a":"é漢"}' },
  { id: 'p1', event: 'reset', data: 'x\n y' },
  { id: 'p2', event: 'message', data: '' },
];

describe('a stream of server-sent events', () => {
  it('is read the same however it is cut into pieces', async () => {
    const whole = bytes(STREAM);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(whole.length)), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
        const pieces = places.slice(1).map((end, index) => whole.slice(places[index], end));
        const { events, place } = await read(pieces);
        expect(events).toEqual(EXPECTED);
        expect(place).toEqual({ id: 'p2', retry_ms: 2_000 });
      }),
    );
  });

  it('moves its place with an id that has no data (S2)', async () => {
    expect((await read([bytes('id: q\n\n')])).place.id).toBe('q');
  });
});
