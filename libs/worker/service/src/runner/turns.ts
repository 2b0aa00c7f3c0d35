// Turns: which of the tasks that lie in a thread has begun there.
//
//   U1. A task that was handed over ahead is begun by its thread or taken back by the runner, never both, however the
//       two may race: one word of shared memory says who was first.
//   U2. A word is written anew for each task, with its turn in it: who comes late for the task before finds another.

export const TURNS = 32;
const WORD_BYTES = 4;
/** Neither offered nor begun, of no turn. */
const TAKEN_BACK = -1;

const offered = (turn: number): number => turn * 2;
const begun = (turn: number): number => turn * 2 + 1;

/** One thread's, seen from both sides. At most `TURNS` in a row may be open. */
export class Turns {
  private readonly words: Int32Array<SharedArrayBuffer>;

  constructor(readonly buffer = new SharedArrayBuffer(TURNS * WORD_BYTES)) {
    this.words = new Int32Array(buffer);
  }

  /** By the runner, before the task is sent. */
  offer(turn: number): void {
    Atomics.store(this.words, turn % TURNS, offered(turn));
  }

  /** By the thread; false when it was taken back. */
  begin(turn: number): boolean {
    return this.swap(turn, begun(turn));
  }

  /** By the runner; false when it has begun. */
  takeBack(turn: number): boolean {
    return this.swap(turn, TAKEN_BACK);
  }

  private swap(turn: number, to: number): boolean {
    return Atomics.compareExchange(this.words, turn % TURNS, offered(turn), to) === offered(turn);
  }
}
