const NAMED_MAX = 12;

/** What was found not to agree. All are counted; the first are named. */
export class Differences {
  private readonly named: string[] = [];
  private count = 0;

  note(difference: string): void {
    this.count += 1;
    if (this.named.length < NAMED_MAX) this.named.push(difference.slice(0, 240));
  }

  /** Compares a figure as three say it: who states it comes first. */
  compare(figure: string, stated: number | string, counted: number | string): void {
    if (stated !== counted) this.note(`${figure}: stated ${stated}, counted ${counted}`);
  }

  get summary(): string | undefined {
    if (this.count === 0) return undefined;
    const more = this.count > this.named.length ? ` (and ${this.count - this.named.length} more)` : '';
    return `${this.named.join('; ')}${more}`;
  }
}
