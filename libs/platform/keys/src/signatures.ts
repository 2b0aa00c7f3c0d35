// Signatures
//
// Ed25519 over text, alone or many at once: a signature costs more than all else about a short text, so texts that are
// signed in the same moment share one, and each carries the way from itself to what was signed.
//
//   G1. A signature says nothing of any other text. A batch is a Merkle tree, and what is signed is its root: a text
//       verifies only if it is one of the leaves. As in RFC 6962, leaves and nodes are hashed with other first bytes.
//   G2. What is signed of a batch can be no text that is signed alone: those are JSON objects, and a root is named
//       before its digest.
//   G3. Remembering a verified root spares the arithmetic, never the comparison: the way is walked each time.
//   G4. What this process has signed itself is remembered as verified, for whoever in it asks about that key: the same
//       bytes under the same signature, and nothing else. Elsewhere the arithmetic is done.
//
// One text:  `<signature>`
// Of a batch: `<signature>.<side><digest>.<side><digest>…`, from the leaf up; the side (`l` or `r`) is where the other
// half of each pair stands. All in base64url.

import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';

const ROOT_NAME = 'nexusmon root ';
const LEAF = '\u0000';
const NODE = 1;
const DIGEST_BYTES = 32;
const DIGEST = /^[A-Za-z0-9_-]{43}$/;
/** More texts than any batch has: a longer way is no way of ours. */
const STEPS_MAX = 16;
const ROOTS_MAX = 4_096;

const digestOf = (bytes: string | Buffer): string => hash('sha256', bytes, 'base64url');
/** The first byte is that of a character in UTF-8 as it is of the leaf: 0. */
const leafOf = (text: string): string => digestOf(LEAF + text);
/** The bytes of a node, hashed as soon as they are put together: one place serves all nodes. */
const node = Buffer.alloc(1 + 2 * DIGEST_BYTES, NODE);
const nodeOf = (left: string, right: string): string => {
  node.write(left, 1, DIGEST_BYTES, 'base64url');
  node.write(right, 1 + DIGEST_BYTES, DIGEST_BYTES, 'base64url');
  return digestOf(node);
};
const textOfRoot = (root: string): string => ROOT_NAME + root;

const signed = (text: string, key: KeyObject): string => sign(null, Buffer.from(text), key).toString('base64url');

/** One signature for each text, in their order. */
export const signTexts = (texts: readonly string[], key: KeyObject): string[] => {
  if (texts.length <= 1) return texts.map((text) => signed(text, key));
  const ways = texts.map(() => '');
  // Each node with the texts below it.
  let row = texts.map((text, index) => ({ digest: leafOf(text), below: [index] }));
  while (row.length > 1) {
    const pairs = Array.from({ length: Math.ceil(row.length / 2) }, (_, pair) => row.slice(pair * 2, pair * 2 + 2));
    row = pairs.flatMap(([left, right]) => {
      if (!left || !right) return left ?? [];
      for (const index of left.below) ways[index] += `.r${right.digest}`;
      for (const index of right.below) ways[index] += `.l${left.digest}`;
      return { digest: nodeOf(left.digest, right.digest), below: [...left.below, ...right.below] };
    });
  }
  const signature = row[0] ? signed(textOfRoot(row[0].digest), key) : '';
  return ways.map((way) => signature + way);
};

/** The root that a way leads to; undefined for what is no way. */
const rootAt = (text: string, way: readonly string[]): string | undefined => {
  if (way.length > STEPS_MAX) return undefined;
  let digest = leafOf(text);
  for (const step of way) {
    const other = step.slice(1);
    if (!DIGEST.test(other)) return undefined;
    if (step.startsWith('r')) digest = nodeOf(digest, other);
    else if (step.startsWith('l')) digest = nodeOf(other, digest);
    else return undefined;
  }
  return digest;
};

/** What was found signed, by its signature. One for each key in a process (G4). */
type Known = LRUCache<string, string>;
const memories = new Map<string, Known>();

const memoryOf = (public_key: KeyObject): Known => {
  const name = public_key.export({ type: 'spki', format: 'der' }).toString('base64url');
  const known = memories.get(name) ?? new LRUCache({ max: ROOTS_MAX });
  memories.set(name, known);
  return known;
};

type Said = Readonly<{ first: string; said: string; name: string }>;

/** What the first part of a signature must be of, and its name in memory; undefined for what is no way. */
const saidBy = (text: string, signature: string): Said | undefined => {
  const [first = '', ...way] = signature.split('.');
  // A digest of it, so that what is remembered is small.
  if (way.length === 0) return { first, said: text, name: digestOf(text) };
  const root = rootAt(text, way);
  if (!root) return undefined;
  const said = textOfRoot(root);
  return { first, said, name: said };
};

/** Tells what a key has signed. */
export class Signatures {
  private readonly known: Known;

  constructor(private readonly public_key: KeyObject) {
    this.known = memoryOf(public_key);
  }

  isSigned(text: string, signature: string): boolean {
    const found = saidBy(text, signature);
    if (!found) return false;
    const { first, said, name } = found;
    if (this.known.get(first) === name) return true; // G3
    const ours = verify(null, Buffer.from(said), this.public_key, Buffer.from(first, 'base64url'));
    if (ours) this.known.set(first, name);
    return ours;
  }
}

/** Signs, and remembers what it has signed (G4). */
export class SigningKey {
  readonly public_key: KeyObject;
  private readonly known: Known;

  constructor(private readonly private_key: KeyObject) {
    this.public_key = createPublicKey(private_key);
    this.known = memoryOf(this.public_key);
  }

  /** One signature for each text, in their order. */
  sign(texts: readonly string[]): string[] {
    const signatures = signTexts(texts, this.private_key);
    // Of a batch all have the same root.
    const own = saidBy(texts[0] ?? '', signatures[0] ?? '');
    if (own && signatures.length > 0) this.known.set(own.first, own.name);
    return signatures;
  }
}
