import { createPrivateKey } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ContextSecrets } from '@nexusmon/config';
import { canonical } from '@nexusmon/event-log';
import { Signatures, SigningKey } from '@nexusmon/keys';
import { LRUCache } from 'lru-cache';

export type Signed<Claims> = { claims: Claims; signature: string };

/** A verdict is shown again with each task of its mission: so many of those in motion need no second look. */
const SHOWN_MAX = 512;

/** Governance's word: Ed25519 over canonical JSON (RFC 8785). What is said in one moment shares a signature. */
@Injectable()
export class Signer {
  private readonly key: SigningKey;
  private readonly signatures: Signatures;
  /** What was found to be ours, by its signature, word for word. */
  private readonly shown = new LRUCache<string, string>({ max: SHOWN_MAX });

  constructor(secrets: ContextSecrets) {
    this.key = new SigningKey(createPrivateKey(secrets.permit_private_key));
    this.signatures = new Signatures(this.key.public_key);
  }

  signAll<Claims extends object>(all: readonly Claims[]): Signed<Claims>[] {
    const signatures = this.key.sign(all.map(canonical));
    return all.map((claims, index) => ({ claims, signature: signatures[index] ?? '' }));
  }

  isOurs({ claims, signature }: Signed<object>): boolean {
    const text = canonical(claims);
    if (this.shown.get(signature) === text) return true;
    const ours = this.signatures.isSigned(text, signature);
    if (ours) this.shown.set(signature, text);
    return ours;
  }
}
