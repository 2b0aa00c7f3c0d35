/** The instant `seconds` later (a fraction or negative is fine), RFC 3339 in UTC with milliseconds. Knows no now. */
export const secondsAfter = (instant: string, seconds: number): string =>
  new Date(Date.parse(instant) + Math.round(seconds * 1_000)).toISOString();

export const secondsBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1_000;
