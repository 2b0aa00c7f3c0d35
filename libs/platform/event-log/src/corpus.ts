// Golden corpus
//
// What was ever written must be readable for ever. For each event and version a folder holds examples as they were
// recorded, and the digest of the schema that they were written with. Files are only ever added to.
//
//   G1. A recorded version keeps its schema: a change of meaning or shape is a new version with an upcast.
//   G2. Every recorded example of every version still parses, and its upcasts lead to the latest schema.
//   G3. Nothing recorded disappears.
//
// A version or example that has no record yet is recorded by the check, which then fails once and asks for the file to
// be committed: so a new event cannot go in without its record.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Catalogue, EventHistory } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { canonical, sha256Hex } from './canonical.js';

type Data = Record<string, unknown>;
/** Data of the latest version, at least one for each event. */
export type CorpusExamples = Readonly<Record<string, readonly object[]>>;
type Recorded = Readonly<{ schema: string; examples: readonly Data[] }>;

export const schemaDigest = (schema: z.ZodType): string =>
  sha256Hex(canonical(JSON.parse(JSON.stringify(z.toJSONSchema(schema, { unrepresentable: 'any', io: 'output' })))));

/** What is wrong, in words; empty when nothing is. */
export const checkCorpus = (catalogue: Catalogue, folder: string, examples: CorpusExamples): readonly string[] => {
  mkdirSync(folder, { recursive: true });
  const expected = new Set(
    Object.entries(catalogue).flatMap(([name, { versions }]) => versions.map((_, at) => fileOf(name, at + 1))),
  );
  const orphans = readdirSync(folder)
    .filter((file) => !expected.has(file))
    .map((file) => `${file} is recorded, and the catalogue no longer has it (G3)`);
  const faults = Object.entries(catalogue).flatMap(([name, history]) =>
    checkEvent(name, history, folder, (examples[name] ?? []) as readonly Data[]),
  );
  return [...orphans, ...faults];
};

const fileOf = (name: string, version: number): string => `${name}.v${version}.json`;

const checkEvent = (name: string, history: EventHistory, folder: string, examples: readonly Data[]): string[] =>
  history.versions.flatMap((schema, at) => {
    const version = at + 1;
    const latest = version === history.versions.length;
    const file = join(folder, fileOf(name, version));
    const fresh = latest ? examples : [];
    if (!existsSync(file) && fresh.length === 0) return [`${name}.v${version} has neither a record nor an example`];
    const record = existsSync(file) ? read(file) : { schema: schemaDigest(schema), examples: [] };
    const known = new Set(record.examples.map(canonical));
    const added = fresh.filter((example) => !known.has(canonical(example)));
    const grown = { ...record, examples: [...record.examples, ...added] };
    const faults = checkRecord(`${name}.v${version}`, grown, history, at);
    if (added.length === 0 || faults.length > 0) return faults;
    write(file, grown);
    return [`${fileOf(name, version)} has been recorded just now: commit it`];
  });

const read = (file: string): Recorded => JSON.parse(readFileSync(file, 'utf8')) as Recorded;

/** One example a line, so that growth reads as growth. */
const write = (file: string, { schema, examples }: Recorded): void =>
  writeFileSync(file, `{"schema":"${schema}","examples":[\n${examples.map(canonical).join(',\n')}\n]}\n`);

const checkRecord = (name: string, { schema, examples }: Recorded, history: EventHistory, at: number): string[] => {
  const written = history.versions[at];
  const latest = history.versions[history.versions.length - 1];
  if (!written || !latest) return [`${name} is not in the catalogue`];
  if (schemaDigest(written) !== schema)
    return [`${name} has another schema than it was recorded with: it needs a new version (G1)`];
  return examples.flatMap((example, index) => {
    if (!written.safeParse(example).success) return [`example ${index} of ${name} is no longer read (G2)`];
    const upcast = history.upcasts.slice(at).reduce<Data>((data, next) => next(data), example);
    const parsed = latest.safeParse(upcast);
    return parsed.success ? [] : [`example ${index} of ${name} does not become the latest version (G2)`];
  });
};
