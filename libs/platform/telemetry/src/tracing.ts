// Tracing
//
// One mission is one trace: over HTTP and NATS the context travels in a header, in the log in the events themselves.
//
//   T1. Every unit of work has a trace id, whether or not anything is recorded: logs and events name it.
//   T2. Spans are recorded only where there is somewhere to send them, and sent in batches. Elsewhere none is begun but
//       the first of a trace: what is done inside of it bears the ids that the work came with.
//   T3. What comes in decides about sampling; a trace begun here is sampled by its id.

import { randomFillSync } from 'node:crypto';
import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import { LateExporter } from './late-exporter.js';

export type TracingOptions = Readonly<{
  service: string;
  /** Where spans are sent (OTLP over HTTP); undefined: nowhere. */
  endpoint: string | undefined;
  /** Share of the traces begun here that are recorded. */
  share: number;
  /** For a test that looks at spans itself. */
  processors?: readonly SpanProcessor[];
}>;

export type Tracing = Readonly<{ stop: () => Promise<void> }>;

const TRACER = 'nexusmon';
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Whether nothing is recorded here (T2): known once tracing has been started. */
let ids_only = false;

const ID_BYTES = 8;
const randoms = Buffer.alloc(ID_BYTES * 512);
let randoms_left = 0;
/** Sixteen hexadecimal digits, not all zero. Fetched for many at once. */
const freshId = (): string => {
  if (randoms_left === 0) {
    randomFillSync(randoms);
    randoms_left = randoms.length;
  }
  randoms_left -= ID_BYTES;
  const id = randoms.toString('hex', randoms_left, randoms_left + ID_BYTES);
  return id === '0000000000000000' ? freshId() : id;
};

/** A span of which nothing is kept but that it has a trace (T1). */
const bareSpan = (parent: Context): Span => {
  const traceId = presentIn(parent)?.traceId ?? freshId() + freshId();
  return trace.wrapSpanContext({ traceId, spanId: freshId(), traceFlags: TraceFlags.NONE });
};

/** Begins a span that whoever asks for it ends. */
export const beginSpan = (name: string, kind: SpanKind, attributes: Attributes, parent = context.active()): Span =>
  ids_only ? bareSpan(parent) : trace.getTracer(TRACER).startSpan(name, { attributes, kind }, parent);

/** Once per process, before the first span. */
export const startTracing = ({ service, endpoint, share, processors = [] }: TracingOptions): Tracing => {
  const spanProcessors: SpanProcessor[] = [...processors];
  if (endpoint !== undefined) spanProcessors.push(new BatchSpanProcessor({ exporter: new LateExporter(endpoint) }));
  ids_only = spanProcessors.length === 0;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.namespace': 'nexusmon' }),
    sampler:
      spanProcessors.length === 0
        ? new AlwaysOffSampler()
        : new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors,
  });
  const contexts = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(contexts);
  trace.setGlobalTracerProvider(provider);
  return {
    stop: async () => {
      await provider.shutdown();
      ids_only = false;
      trace.disable();
      context.disable();
    },
  };
};

const settle = (span: Span, error: unknown): void => {
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
};

/** T2: without a span of its own where the trace has one already. */
const inTrace = async <Result>(parent: Context, work: (span: Span) => Promise<Result> | Result): Promise<Result> => {
  const above = presentIn(parent) && trace.getSpan(parent);
  if (above) return parent === context.active() ? work(above) : context.with(parent, () => work(above));
  const span = bareSpan(parent);
  return context.with(trace.setSpan(parent, span), () => work(span));
};

const inSpan = async <Result>(
  parent: Context,
  name: string,
  kind: SpanKind,
  attributes: Attributes,
  work: (span: Span) => Promise<Result> | Result,
): Promise<Result> => {
  if (ids_only) return inTrace(parent, work);
  const span = beginSpan(name, kind, attributes, parent);
  try {
    return await context.with(trace.setSpan(parent, span), () => work(span));
  } catch (error) {
    settle(span, error);
    throw error;
  } finally {
    span.end();
  }
};

/** Runs `work` as one span of the present trace, or of a new one. */
export const withSpan = <Result>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<Result> | Result,
): Promise<Result> => inSpan(context.active(), name, SpanKind.INTERNAL, attributes, work);

/** The same for an answer to somebody in this process. */
export const withServerSpan = <Result>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<Result> | Result,
): Promise<Result> => inSpan(context.active(), name, SpanKind.SERVER, attributes, work);

const parseTraceparent = (header: string | undefined): SpanContext | undefined => {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const parsed = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(parsed) ? parsed : undefined;
};

const TRACE_ID_AT = '00-'.length;

const contextOf = (header: string | undefined): Context => {
  const here = ids_only ? present() : undefined;
  if (here && header?.startsWith(here.traceId, TRACE_ID_AT)) return context.active();
  const remote = parseTraceparent(header);
  return remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
};

/** Runs `work` as the part of a trace that somebody else began; a missing or malformed header begins a new one. */
export const withRemoteSpan = <Result>(
  header: string | undefined,
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<Result> | Result,
): Promise<Result> => inSpan(contextOf(header), name, SpanKind.SERVER, attributes, work);

/** Makes the trace of `header` the present one, without a span of our own. */
export const withTraceparent = <Result>(header: string | undefined, work: () => Result): Result =>
  context.with(contextOf(header), work);

/** The last context that was looked at, and what was found there: it is asked for again and again. */
let looked_at: Context | undefined;
let found_there: SpanContext | undefined;

const presentIn = (where: Context): SpanContext | undefined => {
  if (where !== looked_at) {
    const found = trace.getSpanContext(where);
    found_there = found && isSpanContextValid(found) ? found : undefined;
    looked_at = where;
  }
  return found_there;
};

const present = (): SpanContext | undefined => presentIn(context.active());

/** The W3C header for what is sent from here; undefined outside every trace. */
export const traceparent = (): string | undefined => {
  const found = present();
  return found && `00-${found.traceId}-${found.spanId}-0${found.traceFlags & TraceFlags.SAMPLED}`;
};

export const presentTrace = (): Readonly<{ trace_id: string; span_id: string }> | undefined => {
  const found = present();
  return found && { trace_id: found.traceId, span_id: found.spanId };
};
