// `G1`–`G4` are the numbers in signatures.ts.

import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Signatures, SigningKey, signTexts } from './signatures.js';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519').privateKey;
const texts = (count: number) => Array.from({ length: count }, (_, index) => `{"n":${index}}`);
const check = (text: string, signature: string) => new Signatures(publicKey).isSigned(text, signature);

describe('a signature', () => {
  it('of one text is that of the text itself', () => {
    const [signature = ''] = signTexts(['{"a":1}'], privateKey);
    expect(signature).toBe(sign(null, Buffer.from('{"a":1}'), privateKey).toString('base64url'));
    expect([check('{"a":1}', signature), check('{"a":2}', signature)]).toEqual([true, false]);
  });

  it('is one for a batch of any size, and good for each of its texts alone (G1)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.nat(), fc.nat(), (count, one, other) => {
        const batch = texts(count);
        const signatures = signTexts(batch, privateKey);
        expect(new Set(signatures.map((signature) => signature.split('.')[0])).size).toBe(1);
        const known = new Signatures(publicKey);
        expect(batch.every((text, index) => known.isSigned(text, signatures[index] ?? ''))).toBe(true);
        const [mine = '', theirs = ''] = [signatures[one % count], batch[other % count]];
        expect(known.isSigned(theirs, mine)).toBe(one % count === other % count);
        expect(known.isSigned('{"n":"new"}', mine)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it('is refused with any change on the way, also when its root is known (G3)', () => {
    const batch = texts(5);
    const known = new Signatures(publicKey);
    for (const [index, signature] of signTexts(batch, privateKey).entries()) {
      const text = batch[index] ?? '';
      expect(known.isSigned(text, signature)).toBe(true);
      const steps = signature.split('.');
      const turned = signature.replace(/\.(.)/, (_, side) => (side === 'l' ? '.r' : '.l'));
      const shorter = steps.slice(0, -1).join('.');
      const longer = `${signature}.l${'A'.repeat(43)}`;
      const other = signature.replace(/\.(.)(.{4})/, '.$1AAAA');
      for (const wrong of [turned, shorter, longer, other, `${signature}.x`, `${steps[0]}.`, `.${steps[1]}`, ''])
        expect(known.isSigned(text, wrong)).toBe(false);
    }
  });

  it('of a root is none of a text, nor is a node a leaf (G1, G2)', () => {
    const [left = '', right = ''] = ['{"a":1}', '{"b":2}'];
    const [of_left = ''] = signTexts([left, right], privateKey);
    const [signature = '', step = ''] = of_left.split('.');
    expect(check(left, signature)).toBe(false);
    expect(check(`nexusmon root ${step.slice(1)}`, signature)).toBe(false);
    const [alone = ''] = signTexts(['{"a":1}'], privateKey);
    expect(check('{"a":1}', `${alone}.${step}`)).toBe(false);
  });

  it('counts only when the key is the right one, in a batch or alone', () => {
    const strict = new Signatures(publicKey);
    for (const count of [1, 4])
      for (const [index, signature] of signTexts(texts(count), stranger).entries())
        for (let time = 0; time < 2; time += 1)
          expect(strict.isSigned(texts(count)[index] ?? '', signature)).toBe(false);
  });

  it('of this process is known without arithmetic, and is no more than what it says for the key that made it (G4)', () => {
    for (const count of [1, 2, 5]) {
      const batch = texts(count).map((text) => `${text} own`);
      const signatures = new SigningKey(privateKey).sign(batch);
      const strangers = new SigningKey(stranger).sign(batch);
      for (const [index, text] of batch.entries()) {
        const signature = signatures[index] ?? '';
        const [first = '', ...way] = signature.split('.');
        expect(check(text, signature)).toBe(true);
        const forged = ['A'.repeat(first.length), ...way].join('.');
        for (const wrong of [strangers[index] ?? '', forged, `${signature}.l${'A'.repeat(43)}`])
          expect(check(text, wrong)).toBe(false);
        expect(check(`${text} `, signature)).toBe(false);
      }
    }
    expect(new SigningKey(privateKey).sign([])).toEqual([]);
  });

  it('is never asked for nothing', () => expect(signTexts([], privateKey)).toEqual([]));
});
