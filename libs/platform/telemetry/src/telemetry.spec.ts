import { afterEach, describe, expect, it } from '@jest/globals';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import {
  counter,
  createLogger,
  gauge,
  presentTrace,
  serveMetrics,
  startTracing,
  traceparent,
  withRemoteSpan,
  withSpan,
  withTraceparent,
  type Tracing,
} from './index.js';
import { once } from 'node:events';
import { createServer } from 'node:http';

let tracing: Tracing | undefined;
afterEach(async () => {
  await tracing?.stop();
  tracing = undefined;
});

const HEADER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a trace', () => {
  it('has an id also where nothing is recorded (T1)', async () => {
    tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
    const header = await withSpan('outer', {}, () => traceparent());
    expect(header).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(traceparent()).toBeUndefined();
  });

  it('keeps the ids that work came with where nothing is recorded, over every await (T2)', async () => {
    tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
    const other = HEADER.replace('0af', '1af');
    const deeper = HEADER.replace('b7ad', 'c7ad');
    const seen: (string | undefined)[] = [];
    const look = async () => {
      await new Promise(setImmediate);
      seen.push(traceparent());
    };
    await withRemoteSpan(HEADER, 'one', {}, async () => {
      await withSpan('inner', {}, look);
      await withRemoteSpan(other, 'another trace', {}, look);
      await withRemoteSpan(deeper, 'the same trace', {}, look);
      await withTraceparent(deeper, look);
      await look();
    });
    await look();
    expect(seen).toEqual([HEADER, other, HEADER, HEADER, HEADER, undefined]);
  });

  it('is another for what begins beside it', async () => {
    tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
    const begun = () => withSpan('outer', {}, () => presentTrace()?.trace_id);
    expect(new Set(await Promise.all([begun(), begun(), begun()])).size).toBe(3);
  });

  it('goes on from a header, over every await', async () => {
    const exporter = new InMemorySpanExporter();
    tracing = startTracing({
      service: 'spec',
      endpoint: undefined,
      share: 1,
      processors: [new SimpleSpanProcessor({ exporter })],
    });
    const seen = await withRemoteSpan(HEADER, 'handle', { a: 1 }, async () => {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return withSpan('inner', {}, () => presentTrace()?.trace_id);
    });
    expect(seen).toBe('0af7651916cd43dd8448eb211c80319c');
    const spans = exporter.getFinishedSpans();
    expect(spans.map(({ name }) => name)).toEqual(['inner', 'handle']);
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(spans[1]?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
  });

  it('is sent to where the configuration says', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
      request.on('end', () => {
        bodies.push(`${request.url} ${body}`);
        response.end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as { port: number };
    tracing = startTracing({ service: 'spec', endpoint: `http://127.0.0.1:${port}/v1/traces`, share: 1 });
    await withRemoteSpan(HEADER, 'sent', {}, () => undefined);
    await tracing.stop();
    tracing = undefined;
    expect(bodies.join()).toMatch(/^\/v1\/traces [^]*0af7651916cd43dd8448eb211c80319c[^]*"sent"/);
    collector.close();
  });

  it('records what failed and passes it on', async () => {
    const exporter = new InMemorySpanExporter();
    const processors = [new SimpleSpanProcessor({ exporter })];
    tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1, processors });
    await expect(withSpan('fails', {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(exporter.getFinishedSpans()[0]?.status).toEqual({ code: 2, message: 'no' });
  });

  it.each(['', 'nonsense', `${HEADER}0`, HEADER.replace('b7ad6b7169203331', '0000000000000000')])(
    'begins anew after the header "%s"',
    async (header) => {
      tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
      expect(withTraceparent(header, () => presentTrace())).toBeUndefined();
      expect(await withRemoteSpan(header, 'x', {}, () => presentTrace()?.trace_id)).toMatch(/^[0-9a-f]{32}$/);
    },
  );
});

const written = (entry: Record<string, unknown>, msg?: string): Record<string, unknown> => {
  const lines: string[] = [];
  createLogger({ name: 'spec', level: 'info', to: { write: (line) => void lines.push(line) } }).info(entry, msg);
  return JSON.parse(lines[0] ?? '{}') as Record<string, unknown>;
};

describe('a log line', () => {
  it('never shows a secret, at whatever depth (G1)', () => {
    const secret = 'nx_op_very_secret';
    const names = ['authorization', 'Cookie', 'x-operator-key', 'operator_key', 'password', 'token', 'nats_password'];
    const fields = Object.fromEntries(names.map((name) => [name, secret]));
    const line = written({
      ...fields,
      request: { headers: fields, list: [fields] },
      error: Object.assign(new Error('x'), fields),
    });
    expect(JSON.stringify(line)).not.toContain(secret);
    expect(line['operator_key']).toBe('[redacted]');
  });

  it('shows an error with its causes (G2)', () => {
    const line = written({ error: new Error('outer', { cause: new TypeError('inner', { cause: 'why' }) }) }, 'failed');
    expect(line).toMatchObject({
      msg: 'failed',
      level: 'info',
      service: 'spec',
      error: { name: 'Error', message: 'outer', cause: { name: 'TypeError', message: 'inner', cause: 'why' } },
    });
  });

  it('ends where a value is too deep, large or circular to be written', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(JSON.stringify(written({ circle, bytes: new Uint8Array(9), count: 3n }))).toMatch(
      /\[deeper\].*\[9 bytes\].*"3"/,
    );
  });

  it('names its trace', async () => {
    tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
    const [line, trace] = await withSpan('x', {}, () => [written({ msg: 'here' }), presentTrace()] as const);
    expect(line).toMatchObject({ trace_id: trace?.trace_id, span_id: trace?.span_id });
  });
});

describe('metrics', () => {
  it('are read in the form of Prometheus', async () => {
    const count = counter('nexusmon_spec_things', { says: 'Things.' });
    count({ kind: 'a' });
    count({ kind: 'a' }, 2);
    let level = 7;
    const end = gauge('nexusmon_spec_level', { says: 'Level.' }, () => [{ value: level, labels: { of: 'x' } }]);
    const server = createServer(serveMetrics).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const read = async () => (await fetch(`http://127.0.0.1:${port}`)).text();
    expect(await read()).toMatch(/nexusmon_spec_things_total\{kind="a"\} 3\n[^]*nexusmon_spec_level\{of="x"\} 7\n/);
    end();
    level = 8;
    expect(await read()).toContain('nexusmon_spec_level{of="x"} 7\n');
    server.closeAllConnections();
    server.close();
  });
});
