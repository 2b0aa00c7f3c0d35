import { describe, expect, it } from '@jest/globals';
import { foldCase } from './goal-text.js';

describe('text that is searched', () => {
  it.each([
    ['Tromsø', 'TROMSØ'],
    ['ΟΔΟΣ ΟΔΟΣΑ', 'οδος οδοσα'],
    ['STRASSE', 'strasse'],
  ])('is one in %s and %s', (one, other) => expect(foldCase(one)).toBe(foldCase(other)));

  it('has what is searched for in it, wherever a word ends', () =>
    expect(foldCase('ΟΔΟΣΑ')).toContain(foldCase('ΟΔΟΣ')));
});
