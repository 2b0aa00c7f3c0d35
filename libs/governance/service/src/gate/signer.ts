import { createPrivateKey } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ContextSecrets } from '@nexusmon/config';
import { canonical } from '@nexusmon/event-log';
import { Signatures, SigningKey } from '@nexusmon/keys';

export type Signed<Claims> = { claims: Claims; signature: string };

/** Governance's word: Ed25519 over canonical JSON (RFC 8785). What is said in one moment shares a signature. */
@Injectable()
export class Signer {
  private readonly key: SigningKey;
  private readonly signatures: Signatures;

  constructor(secrets: ContextSecrets) {
    this.key = new SigningKey(createPrivateKey(secrets.permit_private_key));
    this.signatures = new Signatures(this.key.public_key);
  }

  signAll<Claims extends object>(all: readonly Claims[]): Signed<Claims>[] {
    const signatures = this.key.sign(all.map(canonical));
    return all.map((claims, index) => ({ claims, signature: signatures[index] ?? '' }));
  }

  isOurs(text: string, signature: string): boolean {
    return this.signatures.isSigned(text, signature);
  }
}
