// Server-sent events as text (HTML Living Standard, 9.2).

const NEWLINES = /\r\n|\r|\n/g;

export type Frame = Readonly<{ id?: string; event?: string; data: unknown }>;

/** Ids and names come from us; a line break in one would be an event of its own. */
const oneLine = (text: string): string => text.replaceAll(NEWLINES, ' ');

/** JSON has no raw line breaks, so `data` is always one line. */
export const frameText = ({ id, event, data }: Frame): string =>
  `${id === undefined ? '' : `id: ${oneLine(id)}\n`}${event === undefined ? '' : `event: ${oneLine(event)}\n`}data: ${JSON.stringify(data)}\n\n`;

export const commentText = (text: string): string => `: ${oneLine(text)}\n\n`;

/** How long a client waits before it comes back. */
export const retryText = (retry_ms: number): string => `retry: ${retry_ms}\n\n`;
