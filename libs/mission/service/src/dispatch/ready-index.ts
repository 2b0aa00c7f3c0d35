// The ready index: which missions have tasks that could start, by worker, highest priority first, then first come.
// It is a cache over the log: filled at start from the view and kept by every commit.

type Queue = Map<number, Set<string>>;

export class ReadyIndex {
  private readonly by_worker = new Map<string, Queue>();
  private readonly entries = new Map<string, { priority: number; workers: readonly string[] }>();

  /** Says what a mission has ready now; nothing ready takes it out. */
  set(mission_id: string, priority: number, workers: readonly string[]): void {
    const known = this.entries.get(mission_id);
    if (known && known.priority === priority && sameWords(known.workers, workers)) return;
    this.remove(mission_id);
    if (workers.length === 0) return;
    this.entries.set(mission_id, { priority, workers });
    for (const worker of new Set(workers)) this.queue(worker, priority).add(mission_id);
  }

  remove(mission_id: string): void {
    const known = this.entries.get(mission_id);
    if (!known) return;
    this.entries.delete(mission_id);
    for (const worker of new Set(known.workers)) {
      const queue = this.by_worker.get(worker);
      const missions = queue?.get(known.priority);
      missions?.delete(mission_id);
      if (missions?.size === 0) queue?.delete(known.priority);
      if (queue?.size === 0) this.by_worker.delete(worker);
    }
  }

  /** The missions waiting for this worker, in the order in which they should be served. */
  *waitingFor(worker: string): Generator<string> {
    const queue = this.by_worker.get(worker);
    if (!queue) return;
    for (const priority of [...queue.keys()].sort((a, b) => b - a)) yield* [...(queue.get(priority) ?? [])];
  }

  get workers(): readonly string[] {
    return [...this.by_worker.keys()];
  }

  get tasks(): number {
    let count = 0;
    for (const { workers } of this.entries.values()) count += workers.length;
    return count;
  }

  private queue(worker: string, priority: number): Set<string> {
    const queue = this.by_worker.get(worker) ?? new Map<number, Set<string>>();
    this.by_worker.set(worker, queue);
    const missions = queue.get(priority) ?? new Set<string>();
    queue.set(priority, missions);
    return missions;
  }
}

const sameWords = (left: readonly string[], right: readonly string[]) =>
  left.length === right.length && left.every((word, index) => word === right[index]);
