import { Controller } from '@nestjs/common';
import { Handle } from '@nexusmon/messaging';
import { createMission, MISSION_SUBJECTS, missionVerb } from '@nexusmon/mission-contract';
import type { z } from 'zod';
import { MissionTraces } from './mission-traces.js';
import { Missions } from './missions.js';

@Controller()
export class MissionCommandHandler {
  constructor(
    private readonly missions: Missions,
    private readonly traces: MissionTraces,
  ) {}

  @Handle(MISSION_SUBJECTS.create, createMission)
  create(request: z.infer<typeof createMission>) {
    return this.missions.create(request);
  }

  @Handle(MISSION_SUBJECTS.run, missionVerb)
  run(request: z.infer<typeof missionVerb>) {
    return this.traces.within(request.mission_id, () => this.missions.run(request));
  }

  @Handle(MISSION_SUBJECTS.approve, missionVerb)
  approve(request: z.infer<typeof missionVerb>) {
    return this.traces.within(request.mission_id, () => this.missions.approve(request));
  }

  @Handle(MISSION_SUBJECTS.deny, missionVerb)
  deny(request: z.infer<typeof missionVerb>) {
    return this.traces.within(request.mission_id, () => this.missions.deny(request));
  }

  @Handle(MISSION_SUBJECTS.cancel, missionVerb)
  cancel(request: z.infer<typeof missionVerb>) {
    return this.traces.within(request.mission_id, () => this.missions.cancel(request));
  }
}
