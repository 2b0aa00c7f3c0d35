import type { SpanExporter } from '@opentelemetry/sdk-trace';

type Exported = Parameters<SpanExporter['export']>[1];
type Spans = Parameters<SpanExporter['export']>[0];

/** As `ExportResultCode` of @opentelemetry/core says it. */
const FAILED = 1;

/** The exporter is loaded with the first spans: most processes never send any, and it costs memory and start time. */
export class LateExporter implements SpanExporter {
  private loading: Promise<SpanExporter> | undefined;

  constructor(private readonly url: string) {}

  export(spans: Spans, done: Exported): void {
    this.load().then(
      (exporter) => exporter.export(spans, done),
      (error: unknown) => done({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  async forceFlush(): Promise<void> {
    await (await this.loading)?.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    await (await this.loading)?.shutdown();
  }

  private load(): Promise<SpanExporter> {
    this.loading ??= import('@opentelemetry/exporter-trace-otlp-http').then(
      ({ OTLPTraceExporter }) => new OTLPTraceExporter({ url: this.url }),
    );
    return this.loading;
  }
}
