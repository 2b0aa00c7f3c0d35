import { describe, expect, it } from '@jest/globals';
import type { Json } from '@nexusmon/kernel';
import fc from 'fast-check';
import { references, refersToOutputs, resolveInput } from './input.js';

const outputs = new Map<string, Json>([
  ['survey', { figures: [{ files: 3 }, null], 'a/b': { '~': 'tilde' }, '': 'empty', none: null }],
  ['other', 'text'],
]);
const resolve = (input: Json) => resolveInput({ input }, outputs);

describe('a reference in an input', () => {
  it.each<[string, Json, Json]>([
    ['the whole output', { $output: 'other' }, 'text'],
    ['a field', { $output: 'survey', pointer: '/figures/0/files' }, 3],
    ['a null', { $output: 'survey', pointer: '/none' }, null],
    ['an item', { $output: 'survey', pointer: '/figures/1' }, null],
    ['an escaped name', { $output: 'survey', pointer: '/a~1b/~0' }, 'tilde'],
    ['an empty name', { $output: 'survey', pointer: '/' }, 'empty'],
    ['deep inside', [{ a: [{ $output: 'other' }] }, 1], [{ a: ['text'] }, 1]],
  ])('stands for %s', (_, input, expected) =>
    expect(resolve(input)).toEqual({ kind: 'resolved', input: expected, derived: true }),
  );

  it('is told from an input of its own', () => {
    const input = { $outputs: 'other', output: '$output', nested: [{ pointer: '/a' }] };
    expect(resolve(input)).toEqual({ kind: 'resolved', input, derived: false });
  });

  it('is not looked for inside an output (R1)', () => {
    const hostile = new Map<string, Json>([
      ['one', { $output: 'two' }],
      ['two', 'secret'],
    ]);
    expect(resolveInput({ input: { a: { $output: 'one' } } }, hostile)).toMatchObject({
      input: { a: { $output: 'two' } },
    });
  });

  it.each<[string, Json, string]>([
    ['a task without output', { $output: 'none' }, ''],
    ['a field that is not there', { a: { $output: 'survey', pointer: '/nope' } }, '/a'],
    ['an index past the end', [{ $output: 'survey', pointer: '/figures/2' }], '/0'],
    ['an index that is no number', { $output: 'survey', pointer: '/figures/00' }, ''],
    ['a field of a text', { $output: 'other', pointer: '/length' }, ''],
    ['what every object inherits', { $output: 'survey', pointer: '/constructor' }, ''],
    ['what every array inherits', { $output: 'survey', pointer: '/figures/length' }, ''],
    ['a pointer that is none', { $output: 'other', pointer: 'a' }, ''],
    ['a pointer with a broken escape', { $output: 'survey', pointer: '/a~2' }, ''],
    ['a task that is no name', { $output: 5 }, ''],
    ['more than a reference', { $output: 'other', default: 1 }, ''],
  ])('leads nowhere: %s (R2)', (_, input, path) =>
    expect(resolve(input)).toMatchObject({ kind: 'unresolvable', path }),
  );

  it('leads too deep (R2)', () => {
    const nest = (depth: number, inner: Json): Json => (depth === 0 ? inner : [nest(depth - 1, inner)]);
    const deep = new Map<string, Json>([['one', nest(60, 1)]]);
    expect(resolveInput({ input: nest(4, { $output: 'one' }) }, deep)).toMatchObject({ kind: 'resolved' });
    expect(resolveInput({ input: nest(5, { $output: 'one' }) }, deep)).toMatchObject({ kind: 'unresolvable' });
  });

  it('names its place in the input', () =>
    expect(references({ 'a/b': [{ $output: 'x' }], c: { $output: 'y', pointer: '/z' } })).toEqual([
      { task_id: 'x', pointer: '', path: '/a~1b/0' },
      { task_id: 'y', pointer: '/z', path: '/c' },
    ]));

  it('leaves an input without references as it is, whatever it holds', () =>
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const input = JSON.parse(JSON.stringify(value)) as Json;
        fc.pre(!refersToOutputs(input));
        expect(resolve(input)).toEqual({ kind: 'resolved', input, derived: false });
      }),
    ));
});
