// Session tokens: what a browser or a program carries. A token says who and until when; whether the session still
// stands is never read from it.
//
//   K1. One algorithm is accepted, the one that is written; the token cannot choose its key.
//   K2. A token has one spelling: bits that base64 leaves over are zero.
//   K3. Issuer, audience, type and expiry are checked every time; the signature once for each token, then remembered.

import { createPrivateKey, createPublicKey, hash, type KeyObject } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';

const ISSUER = 'nexus-auth';
const AUDIENCE = 'nexus-dashboard';
const TYPE = 'at+jwt';
const TOKEN_LENGTH_MAX = 4_096;
const VERIFIED_MAX = 10_000;
const MILLISECONDS = 1_000;

export type Claims = Readonly<{ session_id: string; account: string; expires_at_ms: number }>;

type Keys = Readonly<{ algorithm: 'EdDSA' | 'HS256'; sign: KeyObject | Uint8Array; verify: KeyObject | Uint8Array }>;

/** `jwt_secret` wins where it is set: other systems share it. */
export const tokenKeys = (jwt_secret: string | undefined, private_key_pem: () => string): Keys => {
  if (jwt_secret !== undefined) {
    const secret = new TextEncoder().encode(jwt_secret);
    return { algorithm: 'HS256', sign: secret, verify: secret };
  }
  const sign = createPrivateKey(private_key_pem());
  return { algorithm: 'EdDSA', sign, verify: createPublicKey(sign) };
};

export class SessionTokens {
  private readonly verified = new LRUCache<string, Claims>({ max: VERIFIED_MAX });

  constructor(private readonly keys: Keys) {}

  issue({ session_id, account, expires_at_ms }: Claims, now_ms: number): Promise<string> {
    return new SignJWT({})
      .setProtectedHeader({ alg: this.keys.algorithm, typ: TYPE })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(account)
      .setJti(session_id)
      .setIssuedAt(Math.floor(now_ms / MILLISECONDS))
      .setNotBefore(Math.floor(now_ms / MILLISECONDS))
      .setExpirationTime(Math.floor(expires_at_ms / MILLISECONDS))
      .sign(this.keys.sign);
  }

  /** Undefined for whatever is not a token of ours that still lasts. */
  async read(token: string): Promise<Claims | undefined> {
    if (token.length > TOKEN_LENGTH_MAX) return undefined;
    const name = hash('sha256', token, 'base64');
    const claims = this.verified.get(name) ?? (await this.verify(token));
    if (!claims || claims.expires_at_ms <= Date.now()) {
      this.verified.delete(name);
      return undefined;
    }
    this.verified.set(name, claims);
    return claims;
  }

  private async verify(token: string): Promise<Claims | undefined> {
    if (!isCanonical(token)) return undefined;
    try {
      const { payload } = await jwtVerify(token, this.keys.verify, {
        algorithms: [this.keys.algorithm],
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: TYPE,
        requiredClaims: ['sub', 'jti', 'iat', 'nbf', 'exp'],
      });
      const { jti, sub, exp } = payload;
      if (typeof jti !== 'string' || typeof sub !== 'string' || exp === undefined) return undefined;
      return { session_id: jti, account: sub, expires_at_ms: exp * MILLISECONDS };
    } catch (error) {
      // Every way in which a token can be wrong is one of these; anything else is a fault of ours.
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}

/** Three parts in base64url, each as an encoder would have written it. */
const isCanonical = (token: string): boolean => {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);
};
