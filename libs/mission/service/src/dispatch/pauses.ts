// Missions that could not be served just now, because somebody who is asked does not answer.
//
//   P1. Each is looked at again after a pause of its own, which doubles up to a bound: whoever is away is not asked in
//       a loop, and nobody else waits.

const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 2_000;

type Pause = { ms: number; timer: NodeJS.Timeout | undefined };

export class Pauses {
  private readonly pauses = new Map<string, Pause>();

  constructor(private readonly onOver: (mission_id: string) => void) {}

  /** Whether the mission's pause lasts. */
  has(mission_id: string): boolean {
    return this.pauses.get(mission_id)?.timer !== undefined;
  }

  begin(mission_id: string): void {
    const known = this.pauses.get(mission_id);
    if (known?.timer) return;
    const ms = known ? Math.min(known.ms * 2, PAUSE_MS_MAX) : PAUSE_MS_MIN;
    const timer = setTimeout(() => {
      this.pauses.set(mission_id, { ms, timer: undefined });
      this.onOver(mission_id);
    }, ms);
    this.pauses.set(mission_id, { ms, timer });
  }

  /** It was served, or wants nothing any more. */
  end(mission_id: string): void {
    clearTimeout(this.pauses.get(mission_id)?.timer);
    this.pauses.delete(mission_id);
  }

  close(): void {
    for (const { timer } of this.pauses.values()) clearTimeout(timer);
    this.pauses.clear();
  }
}
