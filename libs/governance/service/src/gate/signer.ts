import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { canonical } from '@nexusmon/event-log';
import { ContextSecrets } from '@nexusmon/config';

/** Governance's word: Ed25519 over canonical JSON (RFC 8785). */
@Injectable()
export class Signer {
  private readonly key: KeyObject;

  constructor(secrets: ContextSecrets) {
    this.key = createPrivateKey(secrets.permit_private_key);
  }

  sign<Claims extends object>(claims: Claims): { claims: Claims; signature: string } {
    return { claims, signature: sign(null, Buffer.from(canonical(claims)), this.key).toString('base64url') };
  }
}
