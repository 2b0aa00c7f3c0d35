import { describe, expect, it } from '@jest/globals';
import type { Assignment } from '@nexusmon/worker-contract';
import { Offer } from './offers.js';

const MIB = 1024 * 1024;
const assignment = (task_id: string) => ({ task_id }) as Assignment;

describe('an offer', () => {
  const offerOf = (slots: number) => new Offer('runner-1', new Set(['system.echo']), slots);

  it('takes one assignment of any size, and more of them only while they go into one answer', async () => {
    const offer = offerOf(4);
    const taken = [5 * MIB, 1, 4 * MIB].map((bytes, index) => {
      offer.reserve();
      const admitted = offer.admit(bytes);
      if (admitted) offer.fill(assignment(String(index)));
      else offer.giveBack();
      return admitted;
    });
    expect(taken).toEqual([true, false, false]);
    await expect(offer.over(1_000)).resolves.toEqual([assignment('0')]);
  });

  it('has the room again that what does not come would have taken', () => {
    const offer = offerOf(4);
    offer.reserve();
    expect(offer.admit(3 * MIB)).toBe(true);
    offer.giveBack(3 * MIB);
    offer.reserve();
    expect(offer.admit(4 * MIB)).toBe(true);
    expect(offer.slots).toBe(3);
    offer.close();
  });
});
