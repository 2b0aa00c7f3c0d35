import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ExistingMission } from '@nexusmon/mission-domain';
import { Endings } from './endings.js';
import type { CommitObserver, MissionLog } from './mission-log.js';

const [mission_id, other_id] = ['msn_1', 'msn_2'];
const inState = (status: string) => ({ status }) as unknown as ExistingMission;

describe('an ending', () => {
  const observers: CommitObserver[] = [];
  const endings = new Endings({ observe: (each: CommitObserver) => observers.push(each) } as unknown as MissionLog);
  const commit = (id: string, status: string) => observers.forEach((tell) => tell(id, inState(status), 'position'));

  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('comes to everybody who expects it, and to nobody else', async () => {
    const [first, second, other] = [mission_id, mission_id, other_id].map((id) => endings.expect(id, 5_000));
    commit(mission_id, 'running');
    commit(mission_id, 'completed');
    await expect(first?.comes()).resolves.toMatchObject({ state: { status: 'completed' }, position: 'position' });
    await expect(second?.comes()).resolves.toMatchObject({ state: { status: 'completed' } });
    jest.advanceTimersByTime(5_000);
    await expect(other?.comes()).resolves.toBeUndefined();
    for (const each of [first, second, other]) each?.forget();
    expect(endings.size).toBe(0);
  });

  it('that is forgotten leaves neither a timer nor a listener, whether it was awaited or not', () => {
    const [first, second] = [endings.expect(mission_id, 60_000), endings.expect(mission_id, 60_000)];
    expect([jest.getTimerCount(), endings.size]).toEqual([2, 1]);
    first.forget();
    expect([jest.getTimerCount(), endings.size]).toEqual([1, 1]);
    second.forget();
    second.forget();
    expect([jest.getTimerCount(), endings.size]).toEqual([0, 0]);
  });

  it('is not waited for where nobody prefers to', async () => {
    const expected = endings.expect(mission_id, 0);
    await expect(expected.comes()).resolves.toBeUndefined();
    expect([jest.getTimerCount(), endings.size]).toEqual([0, 0]);
  });
});
