import { TextDecoder } from 'node:util';

/** What decides whether a file is text. */
export const HEAD_BYTES = 8 * 1024;

/** See S1 of the scanner. `cut`: more bytes follow, so that the last character may be incomplete. */
export const isTextHead = (head: Buffer, cut: boolean): boolean => {
  if (head.includes(0)) return false;
  return isValidUtf8(head, cut) || !head.some(isControl);
};

const isValidUtf8 = (head: Buffer, cut: boolean) => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: cut });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
};

/** A control character that is not white space, backspace or the escape of terminal colours. */
const isControl = (byte: number) => byte < 0x20 && !((byte >= 0x08 && byte <= 0x0d) || byte === 0x1b);
