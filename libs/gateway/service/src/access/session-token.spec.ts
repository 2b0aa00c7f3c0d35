import { describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { SessionTokens, tokenKeys } from './session-token.js';

const { privateKey } = generateKeyPairSync('ed25519');
const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const SECRET = 'a secret of at least thirty-two bytes';
const NOW_MS = Date.now();
const CLAIMS = {
  session_id: 'ses_1',
  account: 'operator:owner',
  expires_at_ms: (Math.floor(NOW_MS / 1_000) + 60) * 1_000,
};

const both = [
  ['EdDSA', new SessionTokens(tokenKeys(undefined, () => PEM))],
  ['HS256', new SessionTokens(tokenKeys(SECRET, () => PEM))],
] as const;

describe.each(both)('a token signed with %s', (_, tokens) => {
  it('says who, and until when', async () => {
    const token = await tokens.issue(CLAIMS, NOW_MS);
    expect(await tokens.read(token)).toEqual(CLAIMS);
    expect(await tokens.read(token)).toEqual(CLAIMS);
  });

  it('is nothing once it has expired', async () => {
    const token = await tokens.issue({ ...CLAIMS, expires_at_ms: NOW_MS - 5_000 }, NOW_MS - 10_000);
    expect(await tokens.read(token)).toBeUndefined();
  });

  it('is nothing when a character of it is another', async () => {
    const token = await tokens.issue(CLAIMS, NOW_MS);
    const [header = '', payload = '', signature = ''] = token.split('.');
    const other = (text: string) => (text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`);
    for (const forged of [
      `${other(header)}.${payload}.${signature}`,
      `${header}.${other(payload)}.${signature}`,
      `${header}.${payload}.${other(signature)}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      '',
      'x'.repeat(100_000),
    ])
      expect(await tokens.read(forged)).toBeUndefined();
  });
});

describe('a token of somebody else', () => {
  const secret = new TextEncoder().encode(SECRET);
  const tokens = new SessionTokens(tokenKeys(SECRET, () => PEM));
  const made = (
    change: (jwt: SignJWT) => SignJWT,
    header: { alg: string; typ?: string } = { alg: 'HS256', typ: 'at+jwt' },
    key: Uint8Array = secret,
  ) =>
    change(
      new SignJWT({})
        .setProtectedHeader(header)
        .setIssuer('nexus-auth')
        .setAudience('nexus-dashboard')
        .setSubject('operator:owner')
        .setJti('ses_1')
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime('1h'),
    ).sign(key);

  it('is the yardstick: nothing changed is accepted', async () => {
    expect(await tokens.read(await made((jwt) => jwt))).toBeDefined();
  });

  it.each([
    ['another issuer', () => made((jwt) => jwt.setIssuer('other'))],
    ['another audience', () => made((jwt) => jwt.setAudience('other'))],
    ['another type', () => made((jwt) => jwt, { alg: 'HS256', typ: 'JWT' })],
    ['no type', () => made((jwt) => jwt, { alg: 'HS256' })],
    ['not valid yet', () => made((jwt) => jwt.setNotBefore('1h'))],
    ['another algorithm', () => made((jwt) => jwt, { alg: 'HS512', typ: 'at+jwt' })],
    ['another key', () => made((jwt) => jwt, undefined, new TextEncoder().encode('x'.repeat(32)))],
    ['the public key as secret', () => made((jwt) => jwt, undefined, Buffer.from(PEM))],
    [
      'no signature',
      () =>
        Promise.resolve(
          new UnsecuredJWT({ jti: 'ses_1' })
            .setIssuer('nexus-auth')
            .setAudience('nexus-dashboard')
            .setSubject('operator:owner')
            .setIssuedAt()
            .setNotBefore('0s')
            .setExpirationTime('1h')
            .encode(),
        ),
    ],
  ])('is refused: %s (K1, K2)', async (_, make) => {
    expect(await tokens.read(await make())).toBeUndefined();
  });
});
