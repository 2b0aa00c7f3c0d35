// How often one may ask: a level for each key, which every request lowers by one and time fills again.

import { LRUCache } from 'lru-cache';

/** Whoever has been quiet the longest is forgotten first; to be forgotten is to be full again. */
const KEYS_MAX = 100_000;
const SECOND_MS = 1_000;

type Level = Readonly<{ left: number; at_ms: number }>;

export type Taken = Readonly<{ allowed: boolean; headers: Readonly<Record<string, string>> }>;

export class RateLimit {
  private readonly levels = new LRUCache<string, Level>({ max: KEYS_MAX });

  constructor(
    /** What is counted: the name in RateLimit-Policy. */
    private readonly name: string,
    private readonly per_second: number,
    private readonly now_ms: () => number = () => performance.now(),
  ) {}

  take(key: string): Taken {
    const { left, at_ms } = this.levelOf(key);
    const allowed = left >= 1;
    const after = allowed ? left - 1 : left;
    this.levels.set(key, { left: after, at_ms });
    return { allowed, headers: this.headers(after, allowed) };
  }

  /** What `take` would say, and nothing is taken. */
  look(key: string): Taken {
    const { left } = this.levelOf(key);
    return { allowed: left >= 1, headers: this.headers(left, left >= 1) };
  }

  private levelOf(key: string): Level {
    const now_ms = this.now_ms();
    const known = this.levels.get(key);
    if (!known) return { left: this.per_second, at_ms: now_ms };
    const gained = ((now_ms - known.at_ms) / SECOND_MS) * this.per_second;
    return { left: Math.min(this.per_second, known.left + gained), at_ms: now_ms };
  }

  /** As draft-ietf-httpapi-ratelimit-headers writes them: what is left, and the seconds until all of it is back. */
  private headers(left: number, allowed: boolean): Record<string, string> {
    const reset_seconds = Math.ceil((this.per_second - left) / this.per_second);
    return {
      'ratelimit-policy': `"${this.name}";q=${this.per_second};w=1`,
      ratelimit: `"${this.name}";r=${Math.floor(left)};t=${reset_seconds}`,
      ...(allowed ? {} : { 'retry-after': '1' }),
    };
  }
}
