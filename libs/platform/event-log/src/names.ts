// The names of the log, which are for ever: subjects, partitions, streams.

import { hash } from 'node:crypto';

export const PARTITIONS = 64;
/** One token of a subject. */
const TOKEN = /^[A-Za-z0-9_-]{1,128}$/;

/** An aggregate in motion is named some dozen times: so many keep what was found out. */
const KNOWN_MAX = 2_048;
const known = new Map<string, number>();

/** `pp` of an id, 00–63: decides the stream, so that one aggregate never spans two. */
export const partitionOf = (id: string): number => {
  const found = known.get(id);
  if (found !== undefined) return found;
  const partition = Number.parseInt(hash('sha256', id, 'hex').slice(0, 2), 16) % PARTITIONS;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(id, partition);
  return partition;
};

const twoDigits = (partition: number): string => String(partition).padStart(2, '0');

export const subjectOf = (context: string, aggregate: string, id: string): string => {
  if (!TOKEN.test(id)) throw new RangeError(`${JSON.stringify(id)} cannot be the id of an aggregate`);
  return `evt.${twoDigits(partitionOf(id))}.${context}.${aggregate}.${id}`;
};

/** Matches every aggregate of a kind. */
export const anyOf = (context: string, aggregate: string): string => `evt.*.${context}.${aggregate}.*`;

export type SubjectParts = Readonly<{ context: string; aggregate: string; id: string }>;

/** Undefined for what is not the subject of an aggregate. */
export const parseSubject = (subject: string): SubjectParts | undefined => {
  const [evt, pp, context, aggregate, id, ...rest] = subject.split('.');
  if (evt !== 'evt' || !context || !aggregate || !id || rest.length > 0) return undefined;
  return pp === twoDigits(partitionOf(id)) ? { context, aggregate, id } : undefined;
};

export const streamName = (number: number): string => `NEXUSMON_EVENTS_${number}`;

/** Which of `count` streams owns a partition. The count is chosen at birth and never changes. */
export const streamOf = (partition: number, count: number): number => Math.floor((partition * count) / PARTITIONS);

export const streamSubjects = (number: number, count: number): string[] => {
  if (count === 1) return ['evt.>'];
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  return partitions.filter((partition) => streamOf(partition, count) === number).map((pp) => `evt.${twoDigits(pp)}.>`);
};
