import { Module } from '@nestjs/common';
import { Derived, PlatformModule } from '@nexusmon/runtime';
import { GrantCommandHandler } from './grant/grant.command-handler.js';
import { grantProjection } from './grant/grant.projection.js';
import { EvolutionQueryHandler } from './progress/evolution.query-handler.js';
import { ProgressReader } from './progress/progress-reader.js';
import { progressProjection } from './progress/progress.projection.js';
import { changeStage, StageChanges } from './stage/stage-changes.js';
import { stageChangeProjection } from './stage/stage.projection.js';

/** Count, XP and capabilities as views; stages and what operators say of capabilities as events. */
@Module({
  imports: [PlatformModule.forContext('evolution')],
  controllers: [EvolutionQueryHandler, GrantCommandHandler],
  providers: [ProgressReader, StageChanges],
})
export class EvolutionServiceModule {
  constructor(derived: Derived, changes: StageChanges) {
    derived.addProjection(progressProjection);
    derived.addProjection(grantProjection);
    derived.addProjection(stageChangeProjection);
    derived.addReactor(changeStage(changes));
  }
}
