import { asked, text } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { REASON_LENGTH_MAX } from './evolution.events.js';
import { capability } from './progress.js';

/** `sovereign`: the operator key came with this request and was right. `key_id`: what the reason is sealed under. */
export const ruleOnCapability = z.strictObject({
  asked,
  capability,
  reason: text(1, REASON_LENGTH_MAX),
  sovereign: z.boolean(),
  key_id: z.string(),
});
export type RuleOnCapability = z.infer<typeof ruleOnCapability>;

export const EVOLUTION_SUBJECTS = {
  grant: 'cmd.evolution.grant',
  revoke: 'cmd.evolution.revoke',
  progress: 'qry.evolution.progress',
  accounts: 'qry.evolution.accounts',
  stage_changes: 'qry.evolution.stage_changes',
  tree: 'qry.evolution.tree',
} as const;
