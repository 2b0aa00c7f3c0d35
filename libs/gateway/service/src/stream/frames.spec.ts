import { describe, expect, it } from '@jest/globals';
import { commentText, frameText, retryText } from './frames.js';

describe('a frame', () => {
  it('is id, event, data and an empty line', () => {
    expect(frameText({ id: '0.abc.1.0', event: 'reset', data: { a: 'x\ny' } })).toBe(
      'id: 0.abc.1.0\nevent: reset\ndata: {"a":"x\\ny"}\n\n',
    );
    expect(frameText({ data: [1] })).toBe('data: [1]\n\n');
  });

  it.each(['\n', '\r', '\r\n'])('is never two, whatever its id and event hold: %j', (newline) => {
    const frame = frameText({ id: `a${newline}data: x`, event: `b${newline}${newline}id: y`, data: 1 });
    expect(frame.trimEnd().split('\n')).toHaveLength(3);
    expect(commentText(`a${newline}b`)).toMatch(/^: a +b\n\n$/);
  });

  it('tells a client when to come back', () => {
    expect(retryText(2_000)).toBe('retry: 2000\n\n');
  });
});
