import { describe, expect, it } from '@jest/globals';
import { Health } from './health.js';

const health = (probes: Record<string, string | undefined>, log?: string): Health => {
  const made = new Health();
  for (const [name, reason] of Object.entries(probes)) made.addProbe(name, () => reason);
  made.addWriteProbe('log.mission', () => log);
  return made;
};

describe('the health of a process', () => {
  it('is ok when every probe is', async () => {
    expect(await health({ nats: undefined }).report()).toMatchObject({ status: 'ok', ready: true });
  });

  it('is read-only, with the reason, when nothing but writing is amiss', async () => {
    const report = await health({ nats: undefined }, 'holes').report();
    expect(report).toMatchObject({ status: 'read_only', ready: false, read_only: 'holes' });
  });

  it('is down when anything else is amiss, and while it stops', async () => {
    const broken = await health({ postgres: 'away' }, 'holes').report();
    expect(broken).toMatchObject({ status: 'down', ready: false, checks: { postgres: { ok: false, reason: 'away' } } });
    expect(broken.read_only).toBeUndefined();
    const stopping = health({});
    stopping.stop();
    expect((await stopping.report()).status).toBe('down');
  });

  it('counts a probe that throws as one that failed', async () => {
    const made = new Health();
    made.addProbe('nats', () => Promise.reject(new Error('closed')));
    expect((await made.report()).checks).toEqual({ nats: { ok: false, reason: 'closed' } });
  });
});
