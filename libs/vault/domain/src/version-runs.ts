// Sets of versions of one series, as runs without gaps: they grow with the number of runs, not of versions.

export type VersionRuns = readonly (readonly [first: number, last: number])[];

export const hasVersion = (runs: VersionRuns, version: number): boolean =>
  runs.some(([first, last]) => first <= version && version <= last);

export const withVersion = (runs: VersionRuns, version: number): VersionRuns => {
  if (hasVersion(runs, version)) return runs;
  const before = runs.filter(([, last]) => last < version);
  const after = runs.filter(([first]) => first > version);
  const left = before.at(-1)?.[1] === version - 1 ? before.at(-1) : undefined;
  const right = after[0]?.[0] === version + 1 ? after[0] : undefined;
  const joined = [left?.[0] ?? version, right?.[1] ?? version] as const;
  return [...(left ? before.slice(0, -1) : before), joined, ...(right ? after.slice(1) : after)];
};

export const withoutVersion = (runs: VersionRuns, version: number): VersionRuns =>
  runs.flatMap(([first, last]): VersionRuns => {
    if (version < first || last < version) return [[first, last]];
    return [
      ...(first < version ? [[first, version - 1] as const] : []),
      ...(version < last ? [[version + 1, last] as const] : []),
    ];
  });
