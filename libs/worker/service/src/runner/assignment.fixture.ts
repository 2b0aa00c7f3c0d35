// Assignments with permits as governance makes them, for specs.

import { generateKeyPairSync, sign } from 'node:crypto';
import { canonical, newId, sha256Hex } from '@nexusmon/event-log';
import { OUTPUT_BYTES_MAX } from '@nexusmon/shared-contract';
import type { Json } from '@nexusmon/kernel';
import type { Assignment, Effect, PermitClaims, WorkerManifest } from '@nexusmon/worker-contract';

export const governance = generateKeyPairSync('ed25519');

export type Asked = Readonly<{
  manifest: WorkerManifest;
  input?: Json;
  mission_id?: string;
  task_id?: string;
  attempt?: number;
  timeout_seconds?: number;
  now_ms?: number;
  private_key?: typeof governance.privateKey;
}>;

const instant = (ms: number) => new Date(ms).toISOString();

export const assignmentOf = ({
  manifest,
  input = {},
  mission_id = newId('msn'),
  task_id = 'task',
  attempt = 1,
  timeout_seconds = 20,
  now_ms = Date.now(),
  private_key = governance.privateKey,
}: Asked): Assignment => {
  const effect: Effect = {
    mission_id,
    task_id,
    attempt,
    worker: manifest.name,
    worker_version: manifest.version,
    worker_digest: manifest.digest,
    input_digest: sha256Hex(canonical(input)),
    limits: { timeout_seconds, output_bytes_max: OUTPUT_BYTES_MAX },
    egress: [],
    rank: 'E',
  };
  const claims: PermitClaims = {
    effect_digest: sha256Hex(canonical(effect)),
    mission_id,
    task_id,
    attempt,
    plan_digest: sha256Hex('a plan'),
    rank: 'E',
    policy_version: 1,
    halt_epoch: 0,
    authority: 'service:governance',
    issued_at: instant(now_ms),
    expires_at: instant(now_ms + 60_000),
  };
  const deadline = instant(now_ms + timeout_seconds * 1_000);
  return { ...effectless(effect), input, effect, permit: signed(claims, private_key), deadline };
};

const effectless = ({ mission_id, task_id, attempt, worker }: Effect) => ({ mission_id, task_id, attempt, worker });

export const signed = (claims: PermitClaims, private_key = governance.privateKey): Assignment['permit'] => ({
  claims,
  signature: sign(null, Buffer.from(canonical(claims)), private_key).toString('base64url'),
});
