import { Controller } from '@nestjs/common';
import {
  authorize,
  GOVERNANCE_SUBJECTS,
  judge,
  type authorizeReply,
  type judgeReply,
} from '@nexusmon/governance-contract';
import { Handle } from '@nexusmon/messaging';
import { answered, type Reply } from '@nexusmon/shared-contract';
import { withRemoteSpan } from '@nexusmon/telemetry';
import type { z } from 'zod';
import { Gate } from './gate.js';

@Controller()
export class GateQueryHandler {
  constructor(private readonly gate: Gate) {}

  @Handle(GOVERNANCE_SUBJECTS.judge, judge)
  async judge({ requests }: z.infer<typeof judge>): Promise<Reply<z.infer<typeof judgeReply>>> {
    const claims = requests.map(({ traceparent, ...facts }) =>
      withRemoteSpan(traceparent, 'judge', { mission_id: facts.mission_id }, () => this.gate.judge(facts)),
    );
    return answered({ verdicts: this.gate.sign(await Promise.all(claims)) });
  }

  @Handle(GOVERNANCE_SUBJECTS.authorize, authorize)
  async authorize({ requests }: z.infer<typeof authorize>): Promise<Reply<z.infer<typeof authorizeReply>>> {
    const rulings = requests.map(({ traceparent, ...request }) => {
      const { mission_id, task_id, attempt } = request.effect;
      const attributes = { mission_id, task_id, attempt };
      return withRemoteSpan(traceparent, 'permit', attributes, () => this.gate.permit(request));
    });
    return answered({ answers: this.gate.signPermits(await Promise.all(rulings)) });
  }
}
