import type { Dependency } from '@nexusmon/worker-contract';

/** What one manifest declares. `licence` is the licence of the project the manifest belongs to. */
export type Declared = Readonly<{
  dependencies: readonly Omit<Dependency, 'manifest'>[];
  licences: readonly string[];
}>;

/** Throws `ManifestProblem` for a text that is no manifest of its kind. */
export type ReadManifest = (source: string, name: string) => Declared;

export class ManifestProblem extends Error {
  override readonly name = 'ManifestProblem';
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const jsonRecord = (source: string): Record<string, unknown> => {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    if (error instanceof SyntaxError) throw new ManifestProblem('not valid JSON', { cause: error });
    throw error;
  }
  if (!isRecord(value)) throw new ManifestProblem('not a JSON object');
  return value;
};

/** The string members of a JSON object; nothing where there is no such object. */
export const textEntries = (value: unknown): [string, string][] =>
  isRecord(value)
    ? Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    : [];
