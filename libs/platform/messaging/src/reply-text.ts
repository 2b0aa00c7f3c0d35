// Replies as text: a body stands last, so that whoever only hands it on need not read it.
//
//   R1. `writeReply` writes what `JSON.stringify` would, with the body last.
//   R2. `readReply` understands every reply; of one that is `done` the body stays the bytes that came.

import type { Reply } from '@nexusmon/shared-contract';

/** JSON that has been written already. */
export class JsonText {
  constructor(readonly bytes: Buffer) {}
}

/** More than positions of all streams take. */
const HEAD_BYTES_MAX = 8_192;
const HEAD = /^\{"kind":"done","changed":(true|false),"position":"([\w.~-]*)","body":/;

export const writeReply = (reply: Reply<unknown>): string => {
  if (reply.kind !== 'done' || reply.body === undefined) return JSON.stringify(reply);
  const { changed, position, body } = reply;
  return `{"kind":"done","changed":${changed},"position":${JSON.stringify(position)},"body":${JSON.stringify(body)}}`;
};

export const readReply = (bytes: Buffer): Reply<JsonText> => {
  const [head, changed, position = ''] = HEAD.exec(bytes.toString('latin1', 0, HEAD_BYTES_MAX)) ?? [];
  if (head !== undefined)
    return { kind: 'done', changed: changed === 'true', position, body: new JsonText(bytes.subarray(head.length, -1)) };
  return textOf(JSON.parse(bytes.toString('utf8')) as Reply<unknown>);
};

/** A reply that never was text, as `readReply` would have it. */
export const textOf = (reply: Reply<unknown>): Reply<JsonText> => {
  if (reply.kind !== 'done') return reply;
  return { ...reply, body: new JsonText(Buffer.from(JSON.stringify(reply.body ?? null))) };
};
