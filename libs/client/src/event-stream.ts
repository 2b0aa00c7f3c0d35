// Server-sent events as they are read (HTML Living Standard, 9.2.6).
//
//   S1. `id` holds from the block that names it: whoever comes back with it misses nothing and sees nothing twice.
//   S2. A block without data is no event, but its id and its retry count.
//   S3. What the end of the connection cuts off is no event.

export type ServerEvent = Readonly<{ id: string; event: string; data: string }>;

/** What is known between blocks: where to resume, and how long to wait before. */
export type StreamPlace = { id: string; retry_ms: number };

const LINE_ENDS = /\r\n|\r|\n/;
const DIGITS = /^\d+$/;

const readBlock = (lines: readonly string[], place: StreamPlace): ServerEvent | undefined => {
  const data: string[] = [];
  let event = 'message';
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') data.push(value);
    else if (name === 'event') event = value;
    else if (name === 'id' && !value.includes('\0')) place.id = value;
    else if (name === 'retry' && DIGITS.test(value)) place.retry_ms = Number(value);
  }
  return data.length === 0 ? undefined : { id: place.id, event, data: data.join('\n') };
};

/** The events of one connection; `place` moves along. */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  place: StreamPlace,
): AsyncGenerator<ServerEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  let lines: string[] = [];
  for await (const chunk of body) {
    const text = rest + decoder.decode(chunk, { stream: true });
    // A return at the very end may be half of a line end.
    const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
    const read = whole.split(LINE_ENDS);
    rest = (read.pop() ?? '') + text.slice(whole.length);
    for (const line of read) {
      if (line !== '') {
        lines.push(line);
        continue;
      }
      const event = readBlock(lines, place);
      lines = [];
      if (event) yield event;
    }
  }
}
