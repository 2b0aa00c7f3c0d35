// What the person, or the program, that started us reads.

export type Report = Readonly<{
  /** Names a step, does it, and says how long it took. */
  step: <Value>(name: string, work: () => Promise<Value>) => Promise<Value>;
  say: (event: string, text: string, facts?: Readonly<Record<string, unknown>>) => void;
}>;

const secondsSince = (start: number) => ((performance.now() - start) / 1_000).toFixed(2);

const jsonReport = (write: (line: string) => void): Report => {
  const say: Report['say'] = (event, text, facts = {}) => write(JSON.stringify({ event, text, ...facts }));
  return {
    say,
    step: async (name, work) => {
      const start = performance.now();
      write(JSON.stringify({ event: 'step', step: name, state: 'begun' }));
      const value = await work();
      write(
        JSON.stringify({ event: 'step', step: name, state: 'done', elapsed_ms: Math.round(performance.now() - start) }),
      );
      return value;
    },
  };
};

const humanReport = (write: (line: string) => void): Report => ({
  say: (_event, text) => write(text),
  step: async (name, work) => {
    const start = performance.now();
    const value = await work();
    write(`  ${name.padEnd(24)} ${secondsSince(start).padStart(7)} s`);
    return value;
  },
});

export const consoleReport = (json: boolean, write: (line: string) => void): Report =>
  json ? jsonReport(write) : humanReport(write);

const REASONS_SHOWN = 3;

/** One line, however many services have found however much: the log has as many readers as there are views. */
export const sayReadOnly = (report: Report, services: Readonly<Record<string, string>>): void => {
  const reasons = [...new Set(Object.values(services).flatMap((reason) => reason.split('; ')))];
  const more = reasons.length > REASONS_SHOWN ? `; and ${reasons.length - REASONS_SHOWN} more of the kind` : '';
  report.say('read_only', `READ-ONLY: ${reasons.slice(0, REASONS_SHOWN).join('; ')}${more}`, { services });
};

export const silentReport: Report = { say: () => undefined, step: (_name, work) => work() };
