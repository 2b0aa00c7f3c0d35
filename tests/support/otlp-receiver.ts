// Where a process sends its spans: OTLP over HTTP, as JSON.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { gunzipSync } from 'node:zlib';

type Value = Readonly<{ stringValue?: string; intValue?: string | number; doubleValue?: number; boolValue?: boolean }>;
type Attribute = Readonly<{ key: string; value: Value }>;
type Export = Readonly<{
  resourceSpans?: readonly Readonly<{
    resource: Readonly<{ attributes: readonly Attribute[] }>;
    scopeSpans: readonly Readonly<{
      spans: readonly Readonly<{
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        attributes?: readonly Attribute[];
      }>[];
    }>[];
  }>[];
}>;

export type ReceivedSpan = Readonly<{
  service: string;
  name: string;
  trace_id: string;
  span_id: string;
  parent_id: string;
  attributes: Readonly<Record<string, unknown>>;
}>;

const plain = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0] as unknown]));

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
};

export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** What came that is no export of spans. */
  readonly faults: string[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on('request', (request, response) => {
      void receiver.take(request).then((status) => response.writeHead(status, json).end('{}'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  /** As OTEL_EXPORTER_OTLP_ENDPOINT wants it. */
  get endpoint(): string {
    const address = this.server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the receiver does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The spans once `done` says so; fails with what came after `seconds`. */
  async until(done: (spans: readonly ReceivedSpan[]) => boolean, seconds = 30): Promise<readonly ReceivedSpan[]> {
    const deadline = Date.now() + seconds * 1_000;
    while (!done(this.spans)) {
      if (Date.now() > deadline) {
        const came = this.spans.map(({ service, name, trace_id }) => `${trace_id} ${service} ${name}`);
        throw new Error(`not all spans came:\n${came.slice(-200).join('\n')}\n${this.faults.join('\n')}`);
      }
      await new Promise((wake) => setTimeout(wake, 50));
    }
    return this.spans;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async take(request: IncomingMessage): Promise<number> {
    const body = await bodyOf(request);
    if (
      request.method !== 'POST' ||
      request.url !== '/v1/traces' ||
      !/json/.test(request.headers['content-type'] ?? '')
    ) {
      this.faults.push(`${request.method} ${request.url} ${request.headers['content-type']}`);
      return 404;
    }
    for (const { resource, scopeSpans } of (JSON.parse(body) as Export).resourceSpans ?? []) {
      const service = String(plain(resource.attributes)['service.name']);
      for (const { traceId, spanId, parentSpanId = '', name, attributes } of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push({
          service,
          name,
          trace_id: traceId,
          span_id: spanId,
          parent_id: parentSpanId,
          attributes: plain(attributes),
        });
    }
    return 200;
  }
}

const json = { 'content-type': 'application/json' };
