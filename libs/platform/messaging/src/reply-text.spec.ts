import { describe, expect, it } from '@jest/globals';
import type { Reply } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { readReply, writeReply } from './reply-text.js';

const position = '0.0123456789ab.17.999999~3.ba9876543210.4.0';
const passed = (reply: Reply<unknown>, text = writeReply(reply)) => {
  const read = readReply(Buffer.from(text));
  if (read.kind !== 'done') return read;
  const body: unknown = JSON.parse(read.body.bytes.toString('utf8'));
  return { ...read, body };
};

describe('a reply as text', () => {
  it('is the reply, whatever its body (R1, R2)', () =>
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), fc.constantFrom('', position), (body, changed, at) => {
        const reply = { kind: 'done', changed, position: at, body } as const;
        const plain: unknown = JSON.parse(JSON.stringify(reply));
        expect(JSON.parse(writeReply(reply))).toEqual(plain);
        expect(passed(reply)).toEqual(plain);
        expect(passed(reply, JSON.stringify({ body, position: at, changed, kind: 'done' }))).toEqual(plain);
      }),
    ));

  it('leaves the body as it came (R2)', () => {
    const read = readReply(Buffer.from(`{"kind":"done","changed":false,"position":"","body":{ "b" : 1.0,"a":"ø"}}`));
    expect(read.kind === 'done' && read.body.bytes.toString('utf8')).toBe('{ "b" : 1.0,"a":"ø"}');
  });

  it.each([
    { kind: 'refused', refusal: { code: 'mission-not-found', detail: 'there is no such mission' } },
    { kind: 'unavailable', unavailable: { dependency: 'postgres', detail: 'away', retry_after_seconds: 1 } },
  ] as const)('is read where it is $kind', (reply) => expect(passed(reply)).toEqual(reply));

  it('may be without a body', () =>
    expect(passed({ kind: 'done', changed: true, position, body: undefined })).toMatchObject({ position, body: null }));
});
