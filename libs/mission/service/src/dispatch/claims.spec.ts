import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Claims, type Claim } from './claims.js';

const claimOf = (mission_id: string, runner_id: string, attempt = 1, task_id = 'one'): Claim => ({
  mission_id,
  task_id,
  attempt,
  runner_id,
});
/** Longer than a runner may take to read its assignment. */
const LATER_MS = 4_000;

describe('claims', () => {
  it('are lost when their runner does not have them, after it has had the time to read of them (C2)', () => {
    const claims = new Claims();
    const [first, second] = [claimOf('msn_1', 'runner-1'), claimOf('msn_2', 'runner-2')];
    claims.observe('msn_1', [first], 0);
    claims.observe('msn_2', [second], 0);
    expect(claims.heard('runner-1', [], 1_000)).toMatchObject({ lost: [], stop: [] });
    expect(claims.heard('runner-1', [first], LATER_MS)).toMatchObject({ lost: [], stop: [] });
    expect(claims.heard('runner-1', [], LATER_MS)).toMatchObject({ lost: [first], stop: [] });
    expect(claims.heard('runner-3', [], LATER_MS)).toMatchObject({ lost: [], stop: [] });
  });

  it('are stopped where another attempt has taken their place', () => {
    const claims = new Claims();
    claims.observe('msn_1', [claimOf('msn_1', 'runner-1')], 0);
    expect(claims.observe('msn_1', [claimOf('msn_1', 'runner-2', 2)], 0)).toEqual([claimOf('msn_1', 'runner-1')]);
    expect(claims.heard('runner-1', [claimOf('msn_1', 'runner-1')], LATER_MS).stop).toHaveLength(1);
    expect(claims.heard('runner-2', [], LATER_MS).lost).toEqual([claimOf('msn_1', 'runner-2', 2)]);
  });

  it('are not known where they were released, and are where they run (C3)', () => {
    const claims = new Claims();
    const [known, released] = [claimOf('msn_1', 'runner-1'), claimOf('msn_2', 'runner-1')];
    for (const claim of [known, released]) claims.observe(claim.mission_id, [claim], 0);
    claims.forget(released.mission_id, released.task_id);
    expect(claims.heard('runner-1', [known, released], LATER_MS).unknown).toEqual([released]);
    expect([known, released, { ...known, attempt: 2 }].map((claim) => claims.holds(claim))).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('cost a runner that is heard nothing but its own', () => {
    const claims = new Claims();
    let looked_at = 0;
    const others = Array.from({ length: 1_000 }, (_, index) => ({
      ...claimOf(`msn_${index}`, ''),
      get runner_id() {
        looked_at += 1;
        return 'busy';
      },
    }));
    for (const other of others) claims.observe(other.mission_id, [other], 0);
    claims.observe('msn_mine', [claimOf('msn_mine', 'quiet')], 0);
    looked_at = 0;
    expect(claims.heard('quiet', [], LATER_MS).lost).toHaveLength(1);
    expect(looked_at).toBe(0);
    expect(claims.heard('busy', [], LATER_MS).lost).toHaveLength(1_000);
  });

  it('are known by runner as they are by mission, whatever comes in whatever order', () => {
    const mission = fc.constantFrom('msn_1', 'msn_2', 'msn_3');
    const runner = fc.constantFrom('runner-1', 'runner-2');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('observe' as const), mission, runner, attempt: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant('reported' as const), mission, runner, attempt: fc.integer({ min: 1, max: 3 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const claims = new Claims();
        const model = new Map<string, Claim>();
        for (const { kind, mission: mission_id, runner: runner_id, attempt } of steps) {
          const known = model.get(mission_id);
          if (kind === 'reported') {
            claims.reported(mission_id, 'one', attempt);
            if (known?.attempt === attempt) model.delete(mission_id);
          } else if (attempt === 0) {
            claims.observe(mission_id, [], 0);
            model.delete(mission_id);
          } else {
            const claim = claimOf(mission_id, runner_id, attempt);
            claims.observe(mission_id, [claim], 0);
            // The same attempt has one runner for good.
            if (known?.attempt !== attempt) model.set(mission_id, claim);
          }
        }
        expect(claims.size).toBe(model.size);
        for (const runner_id of ['runner-1', 'runner-2']) {
          const own = [...model.values()].filter((claim) => claim.runner_id === runner_id);
          expect(new Set(claims.heard(runner_id, [], LATER_MS).lost)).toEqual(new Set(own));
        }
      }),
    );
  });
});
