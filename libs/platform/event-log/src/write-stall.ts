// A server whose disk was full takes no appends until it is started again, not even when there is space: it leaves them
// unanswered, goes on with everything else, and tells its monitor alone.
//
//   W1. The server is asked only when an append was not answered: it may be slow, or on its way back.
//   W2. Once it has said so, it is believed until it says otherwise, and asked no oftener than it can bear.

import type { Monitor } from './start-checks.js';

const ASK_TIMEOUT_MS = 500;
const ASK_AGAIN_MS = 250;

type Healthz = Readonly<{ status: string; error?: string }>;

const readHealth = async (monitor: Monitor): Promise<Healthz> => {
  if ('system' in monitor) {
    const subject = `$SYS.REQ.SERVER.${monitor.server_id}.HEALTHZ`;
    const reply = await monitor.system.request(subject, '', { timeout: ASK_TIMEOUT_MS });
    return reply.json<{ data: Healthz }>().data;
  }
  const url = new URL('/healthz', monitor.monitor_url);
  const response = await fetch(url, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
  return (await response.json()) as Healthz;
};

/** Of what the server says, the system's own word: paths of the server's are nobody's business. */
const reasonIn = (error: string): string | undefined =>
  /write error/i.test(error) ? `the server has stopped writing (${error.split(': ').at(-1)})` : undefined;

export class WriteStall {
  private reason: string | undefined;
  private asked_at = -Infinity;
  private asking: Promise<string | undefined> | undefined;

  constructor(private readonly monitor: Monitor | undefined) {}

  /** Whether the last that was heard is that nothing is written. */
  get isKnown(): boolean {
    return this.reason !== undefined;
  }

  /** Why nothing is written; undefined when the server does not say that. */
  ask(): Promise<string | undefined> {
    if (performance.now() - this.asked_at < ASK_AGAIN_MS) return Promise.resolve(this.reason);
    this.asking ??= this.read().finally(() => {
      this.asked_at = performance.now();
      this.asking = undefined;
    });
    return this.asking;
  }

  private async read(): Promise<string | undefined> {
    if (!this.monitor) return undefined;
    try {
      const { error = '' } = await readHealth(this.monitor);
      this.reason = reasonIn(error);
    } catch {
      // One that cannot be asked is being started again, or was never to be asked: appends find out by themselves.
      this.reason = undefined;
    }
    return this.reason;
  }
}
