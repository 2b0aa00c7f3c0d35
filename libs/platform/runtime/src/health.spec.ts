import { describe, expect, it } from '@jest/globals';
import { Health } from './health.js';

const health = (probes: Record<string, string | undefined>, log?: string): Health => {
  const made = new Health();
  for (const [name, reason] of Object.entries(probes)) made.addProbe(name, () => reason);
  made.addWriteProbe('log.mission', () => log);
  made.addWriteProbe('log.vault', () => log);
  return made;
};

describe('the health of a process', () => {
  it('is ok when every probe is', async () => {
    const report = await health({ nats: undefined }).report();
    expect(report).toMatchObject({ status: 'ok', ready: true });
    expect(report).not.toHaveProperty('reason');
  });

  it('is read-only, with the reason once, when the log may not be written', async () => {
    const report = await health({ nats: undefined, postgres: 'away' }, 'holes').report();
    expect(report).toMatchObject({ status: 'read_only', ready: false, reason: 'holes' });
    expect(report.checks['postgres']).toEqual({ ok: false, reason: 'away' });
  });

  it('is degraded when something else is away', async () => {
    const report = await health({ nats: undefined, postgres: 'away', s3: 'slow' }).report();
    expect(report).toMatchObject({ status: 'degraded', ready: false, reason: 'postgres: away; s3: slow' });
  });

  it('is starting until it has read what was there, whatever else is amiss', async () => {
    const made = health({ postgres: 'away' }, 'holes');
    let behind = true;
    made.addStartProbe('projections', () => (behind ? 'catching up' : undefined));
    expect(await made.report()).toMatchObject({ status: 'starting', reason: 'projections: catching up' });
    behind = false;
    expect((await made.report()).status).toBe('read_only');
  });

  it('is nothing any more while it stops', async () => {
    const stopping = health({}, 'holes');
    stopping.stop();
    expect(await stopping.report()).toMatchObject({ status: 'stopping', ready: false });
  });

  it('counts a probe that throws as one that failed', async () => {
    const made = new Health();
    made.addProbe('nats', () => Promise.reject(new Error('closed')));
    expect((await made.report()).checks).toEqual({ nats: { ok: false, reason: 'closed' } });
  });
});
