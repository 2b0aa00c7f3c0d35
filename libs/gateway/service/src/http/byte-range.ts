// Which bytes a request wants (RFC 9110, 14).
//
//   R1. What is malformed, is counted in another unit or names several ranges is answered with the whole: nobody is
//       given less than they may need.
//   R2. If-Range names one strong tag; any other, a date too, means the whole.

export type ByteRange = Readonly<{ first: number; last: number }>;

const ONE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

/** `whole`: as if nothing had been asked for. */
export const wantedRange = (
  headers: Readonly<Record<string, string | string[] | undefined>>,
  { size, tag }: Readonly<{ size: number; tag: string }>,
): ByteRange | 'whole' | 'unsatisfiable' => {
  const { range, 'if-range': condition } = headers;
  if (typeof range !== 'string' || (condition !== undefined && condition !== `"${tag}"`)) return 'whole';
  const [, from = '', to = ''] = ONE_RANGE.exec(range) ?? [];
  if (from === '') {
    // The last so many bytes. An empty blob has none of them, and no way to say so in Content-Range.
    if (to === '' || (size === 0 && Number(to) > 0)) return 'whole';
    return Number(to) === 0 ? 'unsatisfiable' : { first: Math.max(0, size - Number(to)), last: size - 1 };
  }
  const [first, last] = [Number(from), to === '' ? Infinity : Number(to)];
  if (last < first) return 'whole';
  return first >= size ? 'unsatisfiable' : { first, last: Math.min(last, size - 1) };
};
