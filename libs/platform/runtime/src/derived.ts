import type { Clock, Database, Projection, Projections, Reactor } from '@nexusmon/projections';

/**
 * What one context derives from the log, with that context's role. Injectable: the class is its own token. To be filled
 * in constructors and `onModuleInit`: it starts before `onApplicationBootstrap`.
 */
export class Derived {
  constructor(
    private readonly projections: Projections,
    private readonly database: Database,
  ) {}

  addProjection(projection: Projection): void {
    this.projections.addProjection(projection, this.database);
  }

  /** After the projections that it names. */
  addReactor(reactor: Reactor): void {
    this.projections.addReactor(reactor, this.database);
  }

  addClock(clock: Clock): void {
    this.projections.addClock(clock, this.database);
  }
}
