import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { sealed } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { z } from 'zod';
import { canonical } from './canonical.js';
import { openData, openText, SealBroken, sealData, sealedKeyIds, sealPlan, sealText } from './sealing.js';

const key = createSecretKey(randomBytes(32));
const subject = 'evt.00.mission.mission.msn_x';
const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\u0000') && each.isWellFormed());

describe('a sealed text', () => {
  it('opens under its key, on its aggregate, and nowhere else (S2)', () => {
    fc.assert(
      fc.property(text, (plain) => {
        const closed = sealText(plain, 'key_1', key, subject);
        expect(openText(closed, key, subject)).toBe(plain);
        expect(() => openText(closed, key, `${subject}y`)).toThrow(SealBroken);
        expect(() => openText(closed.replace('key_1', 'key_2'), key, subject)).toThrow(SealBroken);
        expect(() => openText(closed, createSecretKey(randomBytes(32)), subject)).toThrow(SealBroken);
      }),
      { numRuns: 50 },
    );
  });

  it('never looks the same twice', () => {
    const many = Array.from({ length: 2_000 }, () => sealText('same', 'key_1', key, subject));
    expect(new Set(many.map((each) => each.slice(0, 22))).size).toBe(2_000);
  });

  it('is refused when a bit of it is another', () => {
    const closed = Buffer.from(sealText('some text', 'key_1', key, subject).slice(6), 'base64url');
    for (let at = 0; at < closed.length; at += 1) {
      const changed = Buffer.from(closed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openText(`key_1.${changed.toString('base64url')}`, key, subject)).toThrow(SealBroken);
    }
    expect(() => openText('key_1.', key, subject)).toThrow(SealBroken);
  });
});

describe('the sealed fields of a contract', () => {
  const schema = z.strictObject({
    open: z.string(),
    goal: sealed(z.string()),
    why: sealed(z.string().nullable()).optional(),
    input: sealed(z.unknown()),
    tasks: z.array(z.strictObject({ name: z.string(), params: sealed(z.record(z.string(), z.unknown())) })),
    notes: z.record(z.string(), sealed(z.string())).optional(),
  });
  const plan = sealPlan('example', schema);
  if (!plan) throw new Error('no plan');
  const seal = (plain: string) => sealText(plain, 'key_1', key, subject);
  const open = (closed: string) => openText(closed, key, subject);

  it('are ciphertext in the log and as they were when opened', () => {
    fc.assert(
      fc.property(text, text, fc.jsonValue(), (goal, name, input) => {
        fc.pre(!JSON.stringify(input).includes('\\u0000') && !JSON.stringify(input).includes('__proto__'));
        const data = { open: 'o', goal, input, tasks: [{ name, params: { a: goal } }], notes: { n: goal } };
        const stored = JSON.parse(canonical(sealData(plan, data, seal))) as unknown;
        expect(openData(plan, stored, open)).toEqual(JSON.parse(JSON.stringify(data)));
        expect([...sealedKeyIds(plan, stored)]).toEqual(['key_1']);
      }),
      { numRuns: 100 },
    );
    const stored = canonical(
      sealData(plan, { open: 'o', goal: 'secret', input: 'secret', tasks: [], why: 'secret' }, seal),
    );
    expect(stored).not.toContain('secret');
    expect(stored).toContain('"open":"o"');
  });

  it('seals null too, and leaves absent what is absent', () => {
    const stored = sealData(plan, { open: 'o', goal: 'g', input: null, tasks: [], why: null }, seal);
    expect(stored).toMatchObject({ why: { $sealed: expect.any(String) }, input: { $sealed: expect.any(String) } });
    expect(stored).not.toHaveProperty('notes');
    expect(openData(plan, stored, open)).toEqual({ open: 'o', goal: 'g', input: null, tasks: [], why: null });
  });

  it('read as erased under a destroyed key (S4)', () => {
    const data = {
      open: 'o',
      goal: 'g',
      why: 'w',
      input: { a: 1 },
      tasks: [{ name: 'n', params: {} }],
      notes: { n: 'x' },
    };
    expect(openData(plan, sealData(plan, data, seal), () => undefined)).toEqual({
      open: 'o',
      goal: '[erased]',
      why: '[erased]',
      input: null,
      tasks: [{ name: 'n', params: null }],
      notes: { n: '[erased]' },
    });
  });

  it('are opened only where the contract has a mark (S3)', () => {
    const trap = { open: JSON.stringify({ $sealed: 'key_1.x' }), goal: 'g', input: { $sealed: 'key_9.y' }, tasks: [] };
    expect(openData(plan, sealData(plan, trap, seal), open)).toEqual(trap);
    expect(() => openData(plan, { open: 'o', goal: 'plain', input: 1, tasks: [] }, open)).toThrow(SealBroken);
  });

  it('cannot hide where no plan reaches them (S1)', () => {
    const secret = sealed(z.string());
    expect(() => sealPlan('x', z.strictObject({ a: z.union([z.strictObject({ secret }), z.number()]) }))).toThrow(
      TypeError,
    );
    const tagged = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('a'), secret })]);
    expect(() => sealPlan('x', z.strictObject({ tagged }))).toThrow(TypeError);
    expect(() => sealPlan('x', z.strictObject({ a: z.tuple([secret]) }))).toThrow(TypeError);
    expect(() => sealPlan('x', z.strictObject({ a: z.lazy(() => z.strictObject({ secret })) }))).toThrow(TypeError);
    expect(sealPlan('x', z.strictObject({ a: z.string() }))).toBeUndefined();
  });
});
