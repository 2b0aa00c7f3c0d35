import { Controller } from '@nestjs/common';
import { Handle } from '@nexusmon/messaging';
import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import { answered, type Reply } from '@nexusmon/shared-contract';
import {
  pollRequest,
  reportRequest,
  type PollReply,
  type PollRequest,
  type ReportReply,
  type ReportRequest,
} from '@nexusmon/worker-contract';
import { Dispatcher } from './dispatcher.js';

@Controller()
export class RunnerCommandHandler {
  constructor(private readonly dispatcher: Dispatcher) {}

  @Handle(MISSION_SUBJECTS.poll, pollRequest)
  async poll(request: PollRequest): Promise<Reply<PollReply>> {
    return answered(await this.dispatcher.poll(request));
  }

  @Handle(MISSION_SUBJECTS.report, reportRequest)
  async report(request: ReportRequest): Promise<Reply<ReportReply>> {
    return answered(await this.dispatcher.report(request));
  }
}
