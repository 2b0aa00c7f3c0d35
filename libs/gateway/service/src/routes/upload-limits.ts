// Limits of uploads: how many there are at a time, and how slow one may be.
//
//   1. Whoever has uploads under way has at most half of the places that the others leave. So no principal by itself
//      can take the last of several, and whoever comes next gets one.
//   2. A part of an upload is whole before what is staged counts as standing still: whoever is too slow for that is
//      told so, and is not swept away.

import { UPLOAD_PART_BYTES } from '@nexusmon/vault-contract';
import type { Pace } from '../http/deadlines.js';
import type { FormLimits } from '../http/forms.js';
import { problem } from '../http/problem.js';

const RETRY_AFTER_SECONDS = '5';
const WINDOW_MS = 30_000;
/** In each window; a link may be as bad as this for a while. */
const BYTES_MIN = 128 * 1024;
/** On the mean, once an upload has been waited for so many windows: 32 KiB a second after five minutes. */
const MEAN_BYTES_MIN = 960 * 1024;
const MEAN_WINDOWS = 10;
/** The rest of the time is for a store that is away when the part has come. */
const SHARE_OF_SENDER = 2 / 3;
const MS_PER_SECOND = 1_000;

type UploadLimits = Readonly<{ bytes_max: number; at_once_max: number; staged_seconds_max: number }>;

/** How fast a sender must be where what is staged is removed after so long without a part (2). */
export const paceOf = (staged_seconds_max: number): Pace => {
  const part_ms = staged_seconds_max * MS_PER_SECOND * SHARE_OF_SENDER;
  const window_ms = Math.min(WINDOW_MS, part_ms);
  const share = window_ms / WINDOW_MS;
  return {
    window_ms,
    bytes_min: Math.ceil(Math.max(BYTES_MIN * share, (UPLOAD_PART_BYTES * window_ms) / part_ms)),
    mean_bytes_min: MEAN_BYTES_MIN * share,
    mean_windows: MEAN_WINDOWS,
  };
};

export class UploadSlots {
  private readonly taken = new Map<string, number>();

  constructor(private readonly at_once_max: number) {}

  /** Takes a place (1). The answer gives it back. */
  enter(who: string): () => void {
    const own = this.taken.get(who) ?? 0;
    const all = [...this.taken.values()].reduce((sum, count) => sum + count, 0);
    if (own >= Math.ceil((this.at_once_max - (all - own)) / 2))
      throw problem('too-many-uploads', {
        detail: `${all} uploads are under way, ${own} of them yours; nobody has more than half of what the others leave`,
        headers: { 'retry-after': RETRY_AFTER_SECONDS },
      });
    this.taken.set(who, own + 1);
    return () => this.leave(who);
  }

  private leave(who: string): void {
    const left = (this.taken.get(who) ?? 0) - 1;
    if (left > 0) this.taken.set(who, left);
    else this.taken.delete(who);
  }
}

/** What one upload may take, by whom it is. */
export class UploadAdmission {
  private readonly slots: UploadSlots;
  private readonly pace: Pace;
  private readonly bytes_max: number;

  constructor({ bytes_max, at_once_max, staged_seconds_max }: UploadLimits) {
    this.slots = new UploadSlots(at_once_max);
    this.pace = paceOf(staged_seconds_max);
    this.bytes_max = bytes_max;
  }

  limitsFor(who: string): FormLimits {
    return { ...this.pace, bytes_max: this.bytes_max, enter: () => this.slots.enter(who) };
  }
}
