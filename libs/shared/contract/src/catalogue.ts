import type { z } from 'zod';

/**
 * Every version of an event that was ever written, oldest first. The last schema is what is written today; `upcasts[n]`
 * turns the data of version n+1 into that of version n+2. Entries are only ever added.
 */
export type EventHistory = Readonly<{
  versions: readonly [z.ZodObject, ...z.ZodObject[]];
  upcasts: readonly ((data: Record<string, unknown>) => Record<string, unknown>)[];
}>;

/** What one aggregate may write: event name to the history of its schema. */
export type Catalogue = Readonly<Record<string, EventHistory>>;

export const firstVersion = <Schema extends z.ZodObject>(schema: Schema) => ({
  versions: [schema] as [Schema],
  upcasts: [],
});

/** Same fields, another meaning: what is written from now on is told from what was written before. */
export const sameShape = <Schema extends z.ZodObject>(schema: Schema) => ({
  versions: [schema, schema] as [Schema, Schema],
  upcasts: [(data: Record<string, unknown>) => data],
});

type Latest<Versions extends readonly unknown[]> = Versions extends readonly [...unknown[], infer Last] ? Last : never;

/** The events of a catalogue as a decider sees them: a union over `type`, opened and in their latest version. */
export type EventsOf<Events extends Catalogue> = {
  [Name in keyof Events & string]: Readonly<{
    type: Name;
    actor: string;
    time: string;
    data: z.infer<Latest<Events[Name]['versions']>>;
  }>;
}[keyof Events & string];
