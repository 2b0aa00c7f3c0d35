import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ContextSecrets } from '@nexusmon/config';
import { canonical } from '@nexusmon/event-log';
import { Signatures, signTexts } from '@nexusmon/keys';

export type Signed<Claims> = { claims: Claims; signature: string };

/** Governance's word: Ed25519 over canonical JSON (RFC 8785). What is said in one moment shares a signature. */
@Injectable()
export class Signer {
  private readonly key: KeyObject;
  private readonly signatures: Signatures;

  constructor(secrets: ContextSecrets) {
    this.key = createPrivateKey(secrets.permit_private_key);
    this.signatures = new Signatures(createPublicKey(this.key));
  }

  signAll<Claims extends object>(all: readonly Claims[]): Signed<Claims>[] {
    const signatures = signTexts(all.map(canonical), this.key);
    return all.map((claims, index) => ({ claims, signature: signatures[index] ?? '' }));
  }

  isOurs({ claims, signature }: Signed<object>): boolean {
    return this.signatures.isSigned(canonical(claims), signature);
  }
}
