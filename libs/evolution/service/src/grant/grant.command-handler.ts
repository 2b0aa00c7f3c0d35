import { Controller } from '@nestjs/common';
import { EventLog, type KeyReused } from '@nexusmon/event-log';
import { EVOLUTION_SUBJECTS, ruleOnCapability, type RuleOnCapability } from '@nexusmon/evolution-contract';
import type { CapabilityDocument } from '@nexusmon/evolution-contract';
import { progress, rulingOf, type GrantCommand, type GrantRejection } from '@nexusmon/evolution-domain';
import { Handle } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import { ProgressReader } from '../progress/progress-reader.js';
import { grantAggregate, grantIdOf } from './grant.aggregate.js';

const DETAILS: Record<(GrantRejection | KeyReused)['code'], string> = {
  'operator-required': 'only an operator grants and revokes capabilities',
  'operator-key-required': 'this takes the operator key beside the session: send it as X-Operator-Key',
  'idempotency-key-reused': 'this Idempotency-Key stands for another request',
};

@Controller()
export class GrantCommandHandler {
  constructor(
    private readonly log: EventLog,
    private readonly reader: ProgressReader,
  ) {}

  @Handle(EVOLUTION_SUBJECTS.grant, ruleOnCapability)
  grant(request: RuleOnCapability): Promise<Reply<CapabilityDocument>> {
    return this.rule('GrantCapability', request);
  }

  @Handle(EVOLUTION_SUBJECTS.revoke, ruleOnCapability)
  revoke(request: RuleOnCapability): Promise<Reply<CapabilityDocument>> {
    return this.rule('RevokeCapability', request);
  }

  /** Answers with the capability as the decision leaves it: its ruling is from the log, its stage from the view. */
  private async rule(type: GrantCommand['type'], request: RuleOnCapability): Promise<Reply<CapabilityDocument>> {
    const { asked, capability, reason, sovereign, key_id } = request;
    const { actor, ...identity } = asked;
    const id = grantIdOf(capability);
    const command = { type, actor, data: { capability, reason, sovereign } };
    const identified = { ...identity, correlation_id: id, traceparent: traceparent(), command };
    const outcome = await this.log.execute(grantAggregate, id, identified, { key_id });
    if (outcome.kind === 'rejected') {
      const { code } = outcome.rejection;
      return { kind: 'refused', refusal: { code, detail: DETAILS[code] } };
    }
    const ruling = rulingOf(outcome.state);
    const rulings = new Map(ruling ? [[capability, ruling]] : []);
    const body = progress(await this.reader.totals(), rulings).capabilities.find(
      (one) => one.capability === capability,
    );
    if (!body) throw new RangeError(`there is no capability ${capability}`);
    return { kind: 'done', changed: outcome.kind === 'accepted', position: outcome.position, body };
  }
}
