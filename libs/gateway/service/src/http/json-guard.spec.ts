import { describe, expect, it } from '@jest/globals';
import { parseJson } from './json-guard.js';
import { Problem } from './problem.js';

const bytes = (text: string) => Buffer.from(text, 'utf8');

const problemOf = (body: Buffer): Problem => {
  try {
    parseJson(body);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('the body was accepted');
};

const nested = (depth: number, open: string, close: string, inner = '1') =>
  open.repeat(depth) + inner + close.repeat(depth);

describe('a body', () => {
  it('is read as it is', () => {
    const value = { goal: 'a "quoted" {brace} [bracket], colon: and \\', list: [1, [2, { a: null }]], x: { y: 'é😀' } };
    expect(parseJson(bytes(JSON.stringify(value)))).toEqual(value);
    expect(parseJson(bytes(' 12 '))).toBe(12);
    expect(parseJson(bytes('"a:{\\"b\\":1}"'))).toBe('a:{"b":1}');
  });

  it.each([
    ['an array', nested(64, '[', ']')],
    ['an object', nested(64, '{"a":', '}')],
  ])('may be 64 deep: %s', (_, text) => {
    expect(parseJson(bytes(text))).toBeDefined();
  });

  it.each([
    ['65 arrays', nested(65, '[', ']')],
    ['20,000 arrays', nested(20_000, '[', ']')],
    ['20,000 objects', nested(20_000, '{"a":', '}')],
    ['20,000 open arrays and nothing else', '['.repeat(20_000)],
    ['a million open arrays', '['.repeat(1_000_000)],
  ])('is refused when it is deeper (J1): %s', (_, text) => {
    const { code, status, details } = problemOf(bytes(text));
    expect([code, status]).toEqual(['schema-violated', 422]);
    expect(details.errors?.[0]?.message).toBe('deeper than 64');
  });

  it.each([
    ['{"__proto__": {"admin": true}}', '__proto__'],
    ['{"params": {"a": [1, {"__proto__": null}]}}', 'params/a/1/__proto__'],
    ['{"\\u005f_proto__": 1}', '__proto__'],
    ['{"a": {"constructor": {"prototype": {"admin": true}}}}', 'a/constructor/prototype'],
  ])('is refused with the path of a name that poisons (J2): %s', (text, path) => {
    const { status, details } = problemOf(bytes(text));
    expect(status).toBe(422);
    expect(details.errors).toEqual([{ path, message: 'not a field name that is allowed' }]);
  });

  it('may speak of a constructor', () => {
    expect(parseJson(bytes('{"constructor": "Acme", "prototype": {"a": 1}}'))).toEqual({
      constructor: 'Acme',
      prototype: { a: 1 },
    });
  });

  it.each(['{"a": 1, "a": 2}', '{"b": {"a": 1, "\\u0061": 2}}'])(
    'is refused when a name occurs twice (J3): %s',
    (text) => {
      expect(problemOf(bytes(text)).code).toBe('malformed-json');
    },
  );

  it('may use a name again in another object', () => {
    expect(parseJson(bytes('[{"a": {"a": 1}}, {"a": 2}]'))).toEqual([{ a: { a: 1 } }, { a: 2 }]);
  });

  it.each([
    ['{"goal": "a\\u0000b"}', 'goal'],
    ['{"tags": ["x", "\\ud800"]}', 'tags/1'],
    ['{"a\\u0000": 1}', 'a\u0000'],
  ])('is refused with the path of what cannot be kept (J4): %s', (text, path) => {
    const { status, details } = problemOf(bytes(text));
    expect(status).toBe(422);
    expect(details.errors?.[0]?.path).toBe(path);
  });

  it.each([
    ['cut off', bytes('{"goal": "x"')],
    ['a trailing comma', bytes('{"goal": "x",}')],
    ['single quotes', bytes("{'goal': 1}")],
    ['a raw NUL in a string', bytes('{"goal": "a\u0000b"}')],
    ['a raw NUL between tokens', bytes('{"goal":\u0000 1}')],
    ['NaN', bytes('{"a": NaN}')],
    ['two values', bytes('{} {}')],
    ['closed too often', bytes('[]]]]]')],
    ['a name that is no JSON string', bytes('{"\\x": 1}')],
    ['only an open quote', bytes('"')],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['a byte order mark', Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d])],
  ])('is malformed: %s', (_, body) => {
    expect(problemOf(body)).toMatchObject({ code: 'malformed-json', status: 400 });
  });

  it('is never quoted by its problem: it may hold a key', () => {
    const { details } = problemOf(bytes('{"operator_key": "s3cr3t-s3cr3t" oops'));
    expect(JSON.stringify(details)).not.toContain('s3cr3t');
  });
});
