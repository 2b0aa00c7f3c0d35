// Metrics of this process, in the form Prometheus reads. No ids as labels: each new value of a label is a new series.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Attributes, ObservableResult } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

const exporter = new PrometheusExporter({
  preventServerStart: true,
  withoutScopeInfo: true,
  withoutTargetInfo: true,
});
const meter = new MeterProvider({ readers: [exporter] }).getMeter('nexusmon');

export type MetricOptions = Readonly<{ says: string; unit?: string }>;

const described = ({ says, unit }: MetricOptions) => ({ description: says, ...(unit === undefined ? {} : { unit }) });

/** From a quick request to a long mission. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

/** Counts up. The name is given without `_total`, which is added where it is read. */
export const counter = (name: string, options: MetricOptions) => {
  const instrument = meter.createCounter(name, described(options));
  return (labels: Attributes = {}, by = 1): void => instrument.add(by, labels);
};

export const histogram = (name: string, options: MetricOptions & Readonly<{ buckets?: readonly number[] }>) => {
  const advice = { explicitBucketBoundaries: [...(options.buckets ?? SECONDS)] };
  const instrument = meter.createHistogram(name, { ...described(options), advice });
  return (value: number, labels: Attributes = {}): void => instrument.record(value, labels);
};

export type Reading = Readonly<{ value: number; labels?: Attributes }>;

/** Read when asked for. Returns what ends the reading; the last value stays, as OpenTelemetry has it. */
export const gauge = (name: string, options: MetricOptions, read: () => number | readonly Reading[]): (() => void) => {
  const instrument = meter.createObservableGauge(name, described(options));
  const observe = (result: ObservableResult) => {
    const readings = read();
    if (typeof readings === 'number') result.observe(readings);
    else for (const { value, labels } of readings) result.observe(value, labels);
  };
  instrument.addCallback(observe);
  return () => instrument.removeCallback(observe);
};

export const serveMetrics = (request: IncomingMessage, response: ServerResponse): void =>
  exporter.getMetricsRequestHandler(request, response);

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
const DELAY_RESOLUTION_MS = 20;

export type ProcessReading = Readonly<{
  rss_bytes: number;
  heap_bytes: number;
  cpu_seconds: number;
  uptime_seconds: number;
  /** Share of the time since the last reading of the same reader in which the event loop was busy. */
  event_loop_utilization: number;
}>;

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / MICROSECONDS;
};

/** A reader of this process's own figures. Each reader has its own window. */
export const processReader = (): (() => ProcessReading) => {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const { rss, heapUsed } = process.memoryUsage();
    return {
      rss_bytes: rss,
      heap_bytes: heapUsed,
      cpu_seconds: cpuSeconds(),
      uptime_seconds: process.uptime(),
      event_loop_utilization: utilization,
    };
  };
};

/** The figures of the process itself. Returns what ends them. */
export const startProcessMetrics = (): (() => void) => {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const read = processReader();
  const delayP99 = (): number => {
    const p99 = delay.percentile(99) / NANOSECONDS;
    delay.reset();
    return p99;
  };
  const figures: readonly (readonly [string, string, () => number])[] = [
    ['nexusmon_process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()],
    ['nexusmon_process_heap_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed],
    ['nexusmon_process_cpu_seconds', 'CPU time used since the start.', () => cpuSeconds()],
    ['nexusmon_process_uptime_seconds', 'Time since the start.', () => process.uptime()],
    ['nexusmon_event_loop_delay_seconds', '99th percentile since the last reading.', delayP99],
    ['nexusmon_event_loop_utilization', 'Busy share since the last reading.', () => read().event_loop_utilization],
  ];
  const ends = figures.map(([name, says, value]) => gauge(name, { says }, value));
  return () => {
    for (const end of ends) end();
    delay.disable();
  };
};
