import { Module } from '@nestjs/common';
import { Derived, PlatformModule } from '@nexusmon/runtime';
import { progressProjection } from './progress/progress.projection.js';
import { ProgressQueryHandler } from './progress/progress.query-handler.js';

@Module({ imports: [PlatformModule.forContext('evolution')], controllers: [ProgressQueryHandler] })
export class EvolutionServiceModule {
  constructor(derived: Derived) {
    derived.addProjection(progressProjection);
  }
}
