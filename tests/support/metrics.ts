// Metrics, read as Prometheus reads them and no more kindly.

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/g;
const COMMENT = /^# (HELP|TYPE|UNIT|EOF)/;

export type Sample = Readonly<{ name: string; labels: Readonly<Record<string, string>>; value: number }>;

const NUMBERS: Readonly<Record<string, number>> = { '+Inf': Infinity, '-Inf': -Infinity, NaN };

export class Metrics {
  private constructor(readonly samples: readonly Sample[]) {}

  static parse(text: string): Metrics {
    const lines = text.split('\n').filter((line) => line !== '' && !COMMENT.test(line));
    return new Metrics(
      lines.map((line) => {
        const [, name, labels = '', number = ''] = LINE.exec(line) ?? [];
        const value = NUMBERS[number] ?? Number(number);
        if (name === undefined || (Number.isNaN(value) && number !== 'NaN')) throw new Error(`not a sample: ${line}`);
        return {
          name,
          value,
          labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key = '', text = '']) => [key, text])),
        };
      }),
    );
  }

  /** What one process says at its own port. */
  static async of(ops_url: string): Promise<Metrics> {
    const response = await fetch(`${ops_url}/metrics`, { signal: AbortSignal.timeout(10_000) });
    const type = response.headers.get('content-type') ?? '';
    if (response.status !== 200 || !type.startsWith('text/plain')) throw new Error(`${response.status} ${type}`);
    return Metrics.parse(await response.text());
  }

  /** The sum over all samples of this name that have these labels; undefined when there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.samples.filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }
}
