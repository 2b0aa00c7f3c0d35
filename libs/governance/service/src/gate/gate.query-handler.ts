import { Controller } from '@nestjs/common';
import {
  authorize,
  GOVERNANCE_SUBJECTS,
  judge,
  type authorizeReply,
  type judgeReply,
} from '@nexusmon/governance-contract';
import { Handle } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { Gate } from './gate.js';

const answered = <Body>(body: Body): Reply<Body> => ({ kind: 'done', changed: false, position: '', body });

@Controller()
export class GateQueryHandler {
  constructor(private readonly gate: Gate) {}

  @Handle(GOVERNANCE_SUBJECTS.judge, judge)
  judge({ requests }: z.infer<typeof judge>): Promise<Reply<z.infer<typeof judgeReply>>> {
    return Promise.resolve(answered({ verdicts: requests.map((request) => this.gate.judge(request)) }));
  }

  @Handle(GOVERNANCE_SUBJECTS.authorize, authorize)
  async authorize({ requests }: z.infer<typeof authorize>): Promise<Reply<z.infer<typeof authorizeReply>>> {
    return answered({ answers: await Promise.all(requests.map((request) => this.gate.permit(request))) });
  }
}
