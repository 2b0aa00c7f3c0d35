import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import type { Effect, Permit } from '@nexusmon/worker-contract';
import { ContextSecrets } from '@nexusmon/config';

/** A permit that governance did not sign, or that is for something else: a broken invariant or an attack. */
export class PermitInvalid extends Error {
  override readonly name = 'PermitInvalid';
}

@Injectable()
export class PermitVerifier {
  private readonly key: KeyObject;

  constructor(secrets: ContextSecrets) {
    this.key = createPublicKey(secrets.permit_public_key);
  }

  /** Throws `PermitInvalid` unless governance signed this permit for exactly this effect. */
  check(permit: Permit, effect: Effect): void {
    const signed = Buffer.from(canonical(permit.claims));
    if (!verify(null, signed, this.key, Buffer.from(permit.signature, 'base64url')))
      throw new PermitInvalid(`permit for ${effect.mission_id}/${effect.task_id} is not signed by governance`);
    if (permit.claims.effect_digest !== sha256Hex(canonical(effect)))
      throw new PermitInvalid(`permit for ${effect.mission_id}/${effect.task_id} is for another effect`);
  }
}
