import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Batch } from './batch.js';

/** What was sent in one request, by requests. */
const doubling = () => {
  const sent: number[][] = [];
  const batch = new Batch<number, number>(4, (questions) => {
    sent.push(questions);
    return Promise.resolve(questions.map((question) => question * 2));
  });
  return { sent, batch };
};

/** Longer than it takes what is asked in one breath, and within one turn of the event loop. */
const aBreath = async (): Promise<void> => {
  for (let step = 0; step < 20; step += 1) await Promise.resolve();
};

describe('a batch', () => {
  it('sends a question that comes alone at once, with what is asked in the same breath', async () => {
    const { sent, batch } = doubling();
    const answers = [batch.ask(1), batch.ask(2)];
    await aBreath();
    expect(sent).toEqual([[1, 2]]);
    await expect(Promise.all(answers)).resolves.toEqual([2, 4]);
  });

  it('waits for the end of the turn where the turn before brought many', async () => {
    const { sent, batch } = doubling();
    await Promise.all([batch.ask(1), batch.ask(2)]);
    await nextTurn();
    const first = batch.ask(3);
    await aBreath();
    const second = batch.ask(4);
    await aBreath();
    expect(sent).toEqual([[1, 2]]);
    await expect(Promise.all([first, second])).resolves.toEqual([6, 8]);
    expect(sent).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('leaves no question behind that comes later in a turn, nor sends more than fit', async () => {
    const { sent, batch } = doubling();
    const early = batch.ask(1);
    await aBreath();
    const late = [2, 3, 4, 5, 6].map((question) => batch.ask(question));
    await expect(Promise.all([early, ...late])).resolves.toEqual([2, 4, 6, 8, 10, 12]);
    expect(sent).toEqual([[1], [2, 3, 4, 5], [6]]);
  });
});
