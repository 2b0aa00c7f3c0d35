// Logs: one JSON object per line on standard output, with the trace that it belongs to.
//
//   G1. A field with a secret's name is never written, at whatever depth.
//   G2. An error is written with its chain of causes.
//   G3. Nothing is lost when the process ends in an orderly way; a kill may cost the last tenth of a second.

import pino from 'pino';
import type { LoggerService } from '@nestjs/common';
import { presentTrace } from './tracing.js';

export type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
/** `msg` says what happened, in the entry or beside it; the other fields say to what. */
export type Entry = Readonly<Record<string, unknown>>;

/** Injectable: the class is its own token. */
export abstract class Logger {
  abstract error(entry: Entry, msg?: string): void;
  abstract warn(entry: Entry, msg?: string): void;
  abstract info(entry: Entry, msg?: string): void;
  abstract debug(entry: Entry, msg?: string): void;
  /** The same logger with fields that every line of it carries. */
  abstract with(fields: Readonly<Record<string, unknown>>): Logger;
  abstract flush(): void;
}

const SECRET_NAMES = new Set([
  ...['authorization', 'cookie', 'set_cookie', 'x_operator_key', 'operator_key', 'password', 'token', 'secret'],
  ...['api_key', 'apikey', 'access_key', 'secret_key', 'private_key', 'wrap_key', 'pepper', 'jwt', 'session_token'],
  ...['nats_password', 'database_password', 's3_access_key', 's3_secret_key', 'jwt_secret', 'credentials'],
]);
const REDACTED = '[redacted]';
const DEPTH_MAX = 8;
const CAUSES_MAX = 8;
const BUFFER_BYTES = 8_192;
const FLUSH_MS = 100;

const isSecret = (name: string): boolean => SECRET_NAMES.has(name.toLowerCase().replaceAll('-', '_'));

const describeError = (error: Error, depth: number, causes: number): Record<string, unknown> => ({
  ...redactFields(error, depth),
  name: error.name,
  message: error.message,
  stack: error.stack,
  ...(error.cause !== undefined && causes < CAUSES_MAX ? { cause: describeCause(error.cause, depth, causes + 1) } : {}),
  ...(error instanceof AggregateError
    ? { errors: error.errors.map((one) => describeCause(one, depth, causes + 1)) }
    : {}),
});

const describeCause = (cause: unknown, depth: number, causes: number): unknown =>
  cause instanceof Error ? describeError(cause, depth, causes) : redact(cause, depth + 1);

const redactFields = (value: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'cause' && name !== 'errors')
      .map(([name, field]) => [name, isSecret(name) ? REDACTED : redact(field, depth + 1)]),
  );

/** What may be written of a value. Cheap for the flat entries that nearly all lines are. */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return describeError(value, depth, 0);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (depth >= DEPTH_MAX) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return redact((value.toJSON as () => unknown)(), depth + 1);
  const plain: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) plain[name] = isSecret(name) ? REDACTED : redact(field, depth + 1);
  return plain;
};

class PinoLogger extends Logger {
  constructor(
    private readonly pino: pino.Logger,
    private readonly destination: { flushSync(): void } | undefined,
  ) {
    super();
  }

  error(entry: Entry, msg?: string): void {
    this.write('error', entry, msg);
  }

  warn(entry: Entry, msg?: string): void {
    this.write('warn', entry, msg);
  }

  info(entry: Entry, msg?: string): void {
    this.write('info', entry, msg);
  }

  debug(entry: Entry, msg?: string): void {
    this.write('debug', entry, msg);
  }

  with(fields: Readonly<Record<string, unknown>>): Logger {
    return new PinoLogger(this.pino.child(redact(fields) as pino.Bindings), this.destination);
  }

  flush(): void {
    this.destination?.flushSync();
  }

  private write(level: 'error' | 'warn' | 'info' | 'debug', entry: Entry, msg: string | undefined): void {
    if (this.pino.isLevelEnabled(level)) this.pino[level](redact(entry), msg);
  }
}

export type LoggerOptions = Readonly<{
  name: string;
  level: Level;
  /** Where the lines go; standard output unless given. */
  to?: pino.DestinationStream;
}>;

export const createLogger = ({ name, level, to }: LoggerOptions): Logger => {
  const buffered =
    to === undefined
      ? pino.destination({ dest: 1, sync: false, minLength: BUFFER_BYTES, periodicFlush: FLUSH_MS })
      : undefined;
  const options: pino.LoggerOptions = {
    level,
    base: { service: name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    mixin: () => presentTrace() ?? {},
  };
  return new PinoLogger(pino(options, to ?? buffered), buffered);
};

/** For a spec that does not look at logs. */
export const silentLogger = (): Logger =>
  createLogger({ name: 'silent', level: 'silent', to: { write: () => undefined } });

/** Nest's own lines are about wiring: of interest when something is wrong with it. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.logger.debug(entryOf(message, rest));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn(entryOf(message, rest));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error(entryOf(message, rest));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.logger.error(entryOf(message, rest));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.logger.debug(entryOf(message, rest));
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.logger.debug(entryOf(message, rest));
  }
}

/** Nest passes (message, …, context), and for errors a stack before the context. */
const entryOf = (message: unknown, rest: readonly unknown[]): Entry => {
  const nest = rest.at(-1);
  const details = rest.slice(0, -1);
  const extra = { ...(nest === undefined ? {} : { nest }), ...(details.length > 0 ? { details } : {}) };
  if (message instanceof Error) return { msg: message.message, error: message, ...extra };
  return { msg: typeof message === 'string' ? message : JSON.stringify(redact(message)), ...extra };
};
