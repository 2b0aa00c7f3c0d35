import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ContextSecrets } from '@nexusmon/config';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { LRUCache } from 'lru-cache';

export type Signed<Claims> = Readonly<{ claims: Claims; signature: string }>;

const KNOWN_MAX = 20_000;

/** Governance's word: Ed25519 over canonical JSON (RFC 8785). */
@Injectable()
export class Signer {
  private readonly key: KeyObject;
  private readonly public_key: KeyObject;
  /** Signatures known to be ours, with the digest of what is signed: each task of a mission shows its verdict. */
  private readonly known = new LRUCache<string, string>({ max: KNOWN_MAX });

  constructor(secrets: ContextSecrets) {
    this.key = createPrivateKey(secrets.permit_private_key);
    this.public_key = createPublicKey(this.key);
  }

  sign<Claims extends object>(claims: Claims): { claims: Claims; signature: string } {
    const text = canonical(claims);
    const signature = sign(null, Buffer.from(text), this.key).toString('base64url');
    this.known.set(signature, sha256Hex(text));
    return { claims, signature };
  }

  isOurs({ claims, signature }: Signed<object>): boolean {
    const text = canonical(claims);
    const digest = sha256Hex(text);
    if (this.known.get(signature) === digest) return true;
    const ours = verify(null, Buffer.from(text), this.public_key, Buffer.from(signature, 'base64url'));
    if (ours) this.known.set(signature, digest);
    return ours;
  }
}
