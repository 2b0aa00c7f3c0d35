import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { Outbox } from './outbox.js';

it('an outbox sends what comes alone at once, and otherwise at the end of the turn, in the order of the posts', async () => {
  const sent: string[] = [];
  const outbox = new Outbox();
  outbox.post(() => sent.push('alone'));
  expect(sent).toEqual(['alone']);
  outbox.post(() => sent.push('second of its turn'));
  expect(sent).toEqual(['alone']);
  await nextTurn();
  expect(sent).toEqual(['alone', 'second of its turn']);

  outbox.post(() => sent.push('after a turn of two'));
  expect(sent).toHaveLength(2);
  await nextTurn();
  outbox.post(() => sent.push('after a turn of one'));
  expect(sent.slice(2)).toEqual(['after a turn of two', 'after a turn of one']);
});
