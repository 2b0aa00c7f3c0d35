import { describe, expect, it } from '@jest/globals';
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
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

type Json = Record<string, unknown>;
const encoded = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const seconds = (from_now: number): number => Math.floor(NOW_MS / 1_000) + from_now;

const HEADER: Json = { alg: 'HS256', typ: 'at+jwt' };
const PAYLOAD: Json = {
  ...{ iss: 'nexus-auth', aud: 'nexus-dashboard', sub: 'operator:owner', jti: 'ses_1' },
  ...{ iat: seconds(-10), nbf: seconds(-10), exp: seconds(600) },
};
const without = (name: string): Json => Object.fromEntries(Object.entries(PAYLOAD).filter(([key]) => key !== name));
const hmac = (text: string, key: string | Buffer = SECRET, digest = 'sha256') =>
  createHmac(digest, key).update(text).digest('base64url');
/** Signed with the right secret unless told otherwise: what is wrong with it is what the table says. */
const made = (header: unknown, payload: unknown, sign: (text: string) => string = hmac): string => {
  const text = `${encoded(header)}.${encoded(payload)}`;
  return `${text}.${sign(text)}`;
};
const withHeader = (more: Json): string => made({ ...HEADER, ...more }, PAYLOAD);
const withClaims = (more: Json): string => made(HEADER, { ...PAYLOAD, ...more });
const GOOD = made(HEADER, PAYLOAD);
const [GOOD_HEADER = '', GOOD_PAYLOAD = '', GOOD_SIGNATURE = ''] = GOOD.split('.');
const none = (alg: string) => made({ ...HEADER, alg }, PAYLOAD, () => '');
/** The last character of 43 carries two bits that decode to nothing. */
const respelled = (text: string): string => {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + ALPHABET.charAt(ALPHABET.indexOf(text.slice(-1)) + 1);
};
const PUBLIC_PEM = createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString();
const { privateKey: other_key } = generateKeyPairSync('ed25519');
const { privateKey: rsa_key } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const jwk = createPublicKey(other_key).export({ format: 'jwk' });

const REFUSED: Readonly<Record<string, string>> = {
  'alg none': none('none'),
  'alg None': none('None'),
  'alg NONE': none('NONE'),
  'alg nOnE': none('nOnE'),
  'alg none, signed': withHeader({ alg: 'none' }),
  'no alg': made({ typ: 'at+jwt' }, PAYLOAD),
  'alg null': withHeader({ alg: null }),
  'alg hs256 in small letters': withHeader({ alg: 'hs256' }),
  'a list of algs': withHeader({ alg: ['HS256'] }),
  HS384: made({ ...HEADER, alg: 'HS384' }, PAYLOAD, (text) => hmac(text, SECRET, 'sha384')),
  HS512: made({ ...HEADER, alg: 'HS512' }, PAYLOAD, (text) => hmac(text, SECRET, 'sha512')),
  'HS256 under the public key': made(HEADER, PAYLOAD, (text) => hmac(text, PUBLIC_PEM)),
  'HS256 under the private key': made(HEADER, PAYLOAD, (text) => hmac(text, PEM)),
  'HS256 under nothing': made(HEADER, PAYLOAD, (text) => hmac(text, '')),
  'HS256 under another secret': made(HEADER, PAYLOAD, (text) => hmac(text, 'x'.repeat(32))),
  'EdDSA under a key of its own': made({ ...HEADER, alg: 'EdDSA', jwk }, PAYLOAD, (text) =>
    sign(null, Buffer.from(text), other_key).toString('base64url'),
  ),
  'EdDSA under our key, where a secret is shared': made({ ...HEADER, alg: 'EdDSA' }, PAYLOAD, (text) =>
    sign(null, Buffer.from(text), privateKey).toString('base64url'),
  ),
  'RS256 under a key of its own': made({ ...HEADER, alg: 'RS256' }, PAYLOAD, (text) =>
    sign('sha256', Buffer.from(text), rsa_key).toString('base64url'),
  ),
  'jwk for the secret': made({ ...HEADER, jwk: { kty: 'oct', k: encoded('mine') } }, PAYLOAD, (text) =>
    hmac(text, 'mine'),
  ),
  jku: made({ ...HEADER, jku: 'https://evil.example/keys' }, PAYLOAD, (text) => hmac(text, 'mine')),
  x5u: made({ ...HEADER, x5u: 'https://evil.example/certificate' }, PAYLOAD, (text) => hmac(text, 'mine')),
  'a kid that climbs': made({ ...HEADER, kid: '../../../../dev/null' }, PAYLOAD, (text) => hmac(text, '')),
  'a kid of 10 kB': withHeader({ kid: 'x'.repeat(10_000) }),
  'a critical extension': withHeader({ crit: ['exp'] }),
  'an unknown critical extension': withHeader({ crit: ['evil'], evil: true }),
  'an unencoded payload': withHeader({ b64: false, crit: ['b64'] }),
  'typ JWT': withHeader({ typ: 'JWT' }),
  'typ of another kind': withHeader({ typ: 'id+jwt' }),
  'no typ': made({ alg: 'HS256' }, PAYLOAD),
  'typ as a number': withHeader({ typ: 1 }),
  'another issuer': withClaims({ iss: 'other' }),
  'an issuer in capitals': withClaims({ iss: 'NEXUS-AUTH' }),
  'an issuer with a slash': withClaims({ iss: 'nexus-auth/' }),
  'no issuer': made(HEADER, without('iss')),
  'another audience': withClaims({ aud: 'other' }),
  'a list of other audiences': withClaims({ aud: ['other', 'nexus-dashboard-2'] }),
  'no audience': made(HEADER, without('aud')),
  expired: withClaims({ exp: seconds(-1) }),
  'expired long ago': withClaims({ exp: 1 }),
  'expiry as text': withClaims({ exp: String(seconds(600)) }),
  'expiry without end': withClaims({ exp: null }),
  'no expiry': made(HEADER, without('exp')),
  'not valid yet': withClaims({ nbf: seconds(600) }),
  'nbf as text': withClaims({ nbf: 'now' }),
  'no nbf': made(HEADER, without('nbf')),
  'iat as text': withClaims({ iat: 'now' }),
  'no iat': made(HEADER, without('iat')),
  'no subject': made(HEADER, without('sub')),
  'a subject that is a number': withClaims({ sub: 7 }),
  'no session': made(HEADER, without('jti')),
  'a session that is a list': withClaims({ jti: ['ses_1'] }),
  'a payload that is a list': made(HEADER, [PAYLOAD]),
  'a payload that is text': made(HEADER, '"ses_1"'),
  'a payload that is not JSON': made(HEADER, '{'),
  'a header that is not JSON': made('{', PAYLOAD),
  'another payload under the same signature': `${GOOD_HEADER}.${encoded({ ...PAYLOAD, sub: 'operator:other' })}.${GOOD_SIGNATURE}`,
  'claims twice under the same signature': `${GOOD_HEADER}.${encoded(
    JSON.stringify(PAYLOAD).replace('{', '{"jti":"ses_2",'),
  )}.${GOOD_SIGNATURE}`,
  'no signature': `${GOOD_HEADER}.${GOOD_PAYLOAD}.`,
  'two parts': `${GOOD_HEADER}.${GOOD_PAYLOAD}`,
  'four parts': `${GOOD}.${GOOD_SIGNATURE}`,
  'five parts': `${GOOD}.a.b`,
  'a dot at the end': `${GOOD}.`,
  'a signature that is cut': GOOD.slice(0, -1),
  'a signature in another spelling': respelled(GOOD),
  padding: `${GOOD}=`,
  'a line at the end': `${GOOD}\n`,
  'a space in front': ` ${GOOD}`,
  NUL: `${GOOD}\0`,
  'the signature first': `${GOOD_SIGNATURE}.${GOOD_HEADER}.${GOOD_PAYLOAD}`,
  nothing: '',
  dots: '..',
  '100,000 characters': 'x'.repeat(100_000),
};

describe('a token that is not one of ours', () => {
  const tokens = new SessionTokens(tokenKeys(SECRET, () => PEM));

  it('differs from one that is by what the table says, and there are sixty ways and more', async () => {
    expect(await tokens.read(GOOD)).toBeDefined();
    expect(Object.keys(REFUSED).length).toBeGreaterThanOrEqual(60);
  });

  it.each(Object.entries(REFUSED))('is refused: %s (K1 to K3)', async (_, token) => {
    expect(await tokens.read(token)).toBeUndefined();
  });
});
