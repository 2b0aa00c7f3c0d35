// The command ids that an aggregate has seen, so that none is done twice.
//
//   C1. A keyed id (UUIDv8) is remembered for good: its repeat may come years later.
//   C2. An unkeyed id (UUIDv7) is remembered for the next `UNKEYED_MAX` of its kind: only a retry of the same try can
//       bear it again.

import { hash } from 'node:crypto';
import { isKeyed } from './ids.js';

export const KEYED_MAX = 4_096;
const UNKEYED_MAX = 64;

export type SeenCommand = Readonly<{ command_id: string; request_digest?: string | undefined }>;
/** `keyed` and `unkeyed` as one text each: ids and digests in base64url, 22 characters apiece. */
export type SeenJson = Readonly<{ keyed: string; unkeyed: string }>;

/** What names a command in memory: its UUID. */
const uuidOf = (command_id: string): string => command_id.slice(command_id.indexOf('_') + 1);
const packId = (uuid: string): string => Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url');
const unpackId = (packed: string): string => {
  const hex = Buffer.from(packed, 'base64url').toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
};
const packDigest = (request_digest: string | undefined): string =>
  request_digest === undefined ? '' : hash('sha256', request_digest, 'base64url').slice(0, 22);

const ID_CHARACTERS = 22;
const unpack = (text: string): Map<string, string> =>
  new Map(
    text
      .split(' ')
      .flatMap((entry) => (entry ? [[unpackId(entry.slice(0, ID_CHARACTERS)), entry.slice(ID_CHARACTERS)]] : [])),
  );
const pack = (ids: ReadonlyMap<string, string>): string =>
  [...ids].map(([uuid, digest]) => packId(uuid) + digest).join(' ');

export class SeenCommands {
  static readonly none = new SeenCommands(new Map(), new Map());

  private constructor(
    private readonly keyed: ReadonlyMap<string, string>,
    private readonly unkeyed: ReadonlyMap<string, string>,
  ) {}

  static fromJson = ({ keyed, unkeyed }: SeenJson): SeenCommands => new SeenCommands(unpack(keyed), unpack(unkeyed));

  toJson(): SeenJson {
    return { keyed: pack(this.keyed), unkeyed: pack(this.unkeyed) };
  }

  get keyed_count(): number {
    return this.keyed.size;
  }

  /** `other` is a command of the same id that asked for something else. */
  find({ command_id, request_digest }: SeenCommand): 'unseen' | 'same' | 'other' {
    const id = uuidOf(command_id);
    const digest = this.keyed.get(id) ?? this.unkeyed.get(id);
    if (digest === undefined) return 'unseen';
    return digest === '' || request_digest === undefined || digest === packDigest(request_digest) ? 'same' : 'other';
  }

  with(commands: readonly SeenCommand[]): SeenCommands {
    const keyed = new Map(this.keyed);
    const unkeyed = new Map(this.unkeyed);
    for (const { command_id, request_digest } of commands)
      (isKeyed(command_id) ? keyed : unkeyed).set(uuidOf(command_id), packDigest(request_digest));
    for (const id of unkeyed.keys()) {
      if (unkeyed.size <= UNKEYED_MAX) break;
      unkeyed.delete(id);
    }
    return new SeenCommands(keyed, unkeyed);
  }
}
