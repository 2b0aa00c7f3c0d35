// Run service: one process is a list of context modules and nothing else. No module asks which process it is in.
//
//   S1. Ready only when every connection is up, the log may be written and the projections have what was there at the
//       start.
//   S2. Stopping: intake ends (HTTP, polls) → requests that were taken are answered → what is derived stops at a commit
//       → connections close. Whatever is not done in time is done again by the next process: nothing rests on it.
//   S3. A fault that nobody handles ends the process: a supervisor's restart is safe at any moment, a half-dead process
//       is not.

import 'reflect-metadata';
import type { INestMicroservice, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { readConfig, type Config } from '@nexusmon/config';
import { FaultsPass, NatsServer } from '@nexusmon/messaging';
import {
  createLogger,
  NestLog,
  startProcessMetrics,
  startRuntimeSamples,
  startTracing,
  type Logger,
} from '@nexusmon/telemetry';
import { Health } from './health.js';
import { startIdleCollection } from './idle-collection.js';
import { OpsServer } from './ops-server.js';
import { ProcessModule, type Fatal } from './process.module.js';
import { ProcessRegistry } from './registry.js';
import { within } from './within.js';

/** A collector that has gone must not hold up the end. */
const SPANS_FLUSH_MS = 1_000;

class Process {}

export type RunningService = Readonly<{
  name: string;
  ops_port: number;
  app: INestMicroservice;
  log: Logger;
  /** In order, within the configured time. True when everything was finished. */
  stop: () => Promise<boolean>;
}>;

export type ServiceOptions = Readonly<{
  log?: Logger;
  /** Told of what the process cannot go on after. */
  onFatal?: (error: Error) => void;
}>;

/** Which modules share a process is decided by whoever calls this. */
export const startService = async (
  name: string,
  config: Config,
  modules: readonly Type[],
  { log = createLogger({ name, level: config.log_level }), onFatal = () => undefined }: ServiceOptions = {},
): Promise<RunningService> => {
  const tracing = startTracing({ service: name, ...config.traces });
  const endMetrics = startProcessMetrics();
  const endCollection = startIdleCollection();
  const samples = startRuntimeSamples();
  const fatal: Fatal = {
    raise: (error) => {
      log.error({ msg: 'fatal', error });
      onFatal(error);
    },
  };
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(
    { module: Process, imports: [ProcessModule.forRoot(name, config, log, fatal), ...modules] },
    {
      inject: [NatsServer],
      useFactory: (strategy: NatsServer) => ({ strategy }),
      logger: new NestLog(log),
      abortOnError: false,
    },
  );
  app.useGlobalFilters(new FaultsPass());
  app.get(Health).addDetail('runtime', () => ({ [name]: samples.last() }));
  await app.listen();
  const ops_port = await app.get(OpsServer).listen(config.ops.port);
  log.info({ msg: 'started', ops_port, contexts: app.get(ProcessRegistry).connections.map(({ context }) => context) });
  const stop = once(async () => {
    log.info({ msg: 'stopping' });
    const finished = await within(stopInOrder(app), config.shutdown_ms);
    await app.get(OpsServer).close();
    endMetrics();
    endCollection();
    samples.stop();
    await within(tracing.stop(), SPANS_FLUSH_MS);
    log.info({ msg: 'stopped', finished });
    log.flush();
    return finished;
  });
  return { name, ops_port, app, log, stop };
};

/** S2. Nest's hooks of one kind run over all modules before those of the next: see `Ending` for the second. */
const stopInOrder = async (app: INestMicroservice): Promise<void> => {
  app.get(Health).stop();
  const registry = app.get(ProcessRegistry);
  await app.close();
  await Promise.all(registry.deciders.map(({ database }) => database.close()));
  const connections = [...registry.connections.map(({ connection }) => connection), ...registry.others];
  await Promise.all(connections.map((connection) => connection.close()));
};

const once = <Value>(work: () => Promise<Value>): (() => Promise<Value>) => {
  let done: Promise<Value> | undefined;
  return () => (done ??= work());
};

const EXIT_FAULT = 1;

/** What each `main.ts` calls. */
export const runService = async (name: string, modules: readonly Type[]): Promise<void> => {
  const config = readConfig();
  const log = createLogger({ name, level: config.log_level });
  const end = (error: unknown): never => {
    log.error({ msg: 'the process ends', error });
    log.flush();
    process.exit(EXIT_FAULT);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
  const service = await startService(name, config, modules, { log, onFatal: end });
  const leave = () => void service.stop().then((finished) => process.exit(finished ? 0 : EXIT_FAULT), end);
  process.once('SIGTERM', leave);
  process.once('SIGINT', leave);
};
