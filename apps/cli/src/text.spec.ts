import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonText, plainLine, plainText, tableText } from './text.js';

/** What a terminal would take for a command, or that would change the order of what is shown. */
const COMMANDS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

const any_text = fc.string({ unit: 'binary' });

describe('text for a terminal', () => {
  it('carries no command of the terminal, whatever was written', () => {
    fc.assert(
      fc.property(any_text, fc.array(fc.array(any_text, { minLength: 2, maxLength: 2 })), (text, rows) => {
        for (const shown of [plainText(text), plainLine(text), tableText(rows)]) expect(shown).not.toMatch(COMMANDS);
      }),
    );
  });

  it('shows what was there', () => {
    expect(plainText('a\u001b[31mb\u009b2J\tc\nd')).toBe('a\\u001b[31mb\\u009b2J\tc\nd');
    expect(plainLine(' a\n\tb ')).toBe('a b');
  });

  it('leaves other scripts as they are', () => expect(plainText('Ünïcödé 漢字 🜂')).toBe('Ünïcödé 漢字 🜂'));
});

describe('JSON', () => {
  it('is the same value with no command in it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), any_text, (value, text) => {
        const shown = jsonText({ value, text }, 0);
        expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify({ value, text })));
        expect(shown).not.toMatch(COMMANDS);
      }),
    );
  });
});

describe('a table', () => {
  it('has columns as wide as what is in them', () => {
    expect(
      tableText([
        ['A', 'B'],
        ['long', 'x'],
        ['', 'y'],
      ]),
    ).toBe('A     B\nlong  x\n      y\n');
  });

  it('is cut to the width of a terminal', () => {
    expect(tableText([['id', 'a goal that is long']], 12)).toBe('id  a goal …\n');
  });
});
