import type { TodoPlace } from '@nexusmon/worker-contract';

type Held = Readonly<{ path: Buffer; place: TodoPlace }>;

/** The first places in the order of paths, whatever order files are finished in; never more than a few are held. */
export class CollectedPlaces {
  private held: Held[] = [];

  constructor(private readonly places_max: number) {}

  add(path: Buffer, places: readonly TodoPlace[]): void {
    this.held.push(...places.map((place) => ({ path, place })));
    if (this.held.length > 8 * this.places_max) this.cut();
  }

  first(): TodoPlace[] {
    this.cut();
    return this.held.map(({ place }) => place);
  }

  private cut(): void {
    this.held.sort((a, b) => Buffer.compare(a.path, b.path) || a.place.line - b.place.line);
    this.held = this.held.slice(0, this.places_max);
  }
}
