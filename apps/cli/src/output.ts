// What is written, and where.
//
//   O1. Standard output is data; everything for people stands on the other stream.
//   O2. With --json standard output is JSON and nothing else: the gateway's document, or a problem.
//   O3. Colours and lines that change are for terminals alone.

import { ApiProblem, Unreachable } from '@nexusmon/client';
import { EXIT, exitOfProblem, type ExitCode } from './exit-codes.js';
import { CliFault, Ended, type FaultParts } from './fault.js';
import { jsonText, plainLine, plainText, shortened, tableText } from './text.js';

const COLORS = { red: 31, green: 32, yellow: 33, blue: 34, dim: 2, bold: 1 } as const;
export type Color = keyof typeof COLORS;

export type OutputOptions = Readonly<{
  out: NodeJS.WriteStream;
  err: NodeJS.WriteStream;
  json: boolean;
  no_color: boolean;
}>;

const WIDTH_UNKNOWN = 80;
const WIDTH_WITHOUT_TERMINAL = Number.POSITIVE_INFINITY;

export class Output {
  readonly json: boolean;

  constructor(private readonly options: OutputOptions) {
    this.json = options.json;
  }

  get is_terminal(): boolean {
    return this.options.out.isTTY === true;
  }

  /** A terminal that does not know its own width says 0. */
  get width(): number {
    return this.is_terminal ? this.options.out.columns || WIDTH_UNKNOWN : WIDTH_WITHOUT_TERMINAL;
  }

  /** Data in the form that was asked for. */
  answer(document: unknown, human: () => string): void {
    this.options.out.write(this.json ? `${jsonText(document)}\n` : human());
  }

  /** One JSON document per line, for streams of them. */
  line(document: unknown, human: () => string): void {
    this.options.out.write(this.json ? `${jsonText(document, 0)}\n` : human());
  }

  /** As it is: bytes that are no terminal's business. */
  raw(bytes: Uint8Array | string): boolean {
    return this.options.out.write(bytes);
  }

  table(rows: readonly (readonly string[])[], indent = ''): string {
    return tableText(rows, this.width - indent.length).replaceAll(/^(?=.)/gm, indent);
  }

  say(text: string): void {
    this.options.err.write(`${plainText(text)}\n`);
  }

  /** A line that is written over itself, for a person who waits; nobody else is told. */
  progress(text: string): void {
    const { err } = this.options;
    if (err.isTTY) err.write(`\r\u001b[K${shortened(plainLine(text), err.columns - 1)}`);
  }

  color(color: Color, text: string): string {
    return this.is_terminal && !this.options.no_color ? `\u001b[${COLORS[color]}m${text}\u001b[0m` : text;
  }

  /** Says what went wrong and returns how to end. */
  fail(error: unknown): ExitCode {
    const { parts, document } = failureOf(error);
    if (this.json) this.options.out.write(`${jsonText(document)}\n`);
    else this.say(failureText(parts));
    return parts.exit;
  }
}

type Failure = Readonly<{ parts: FaultParts; document: unknown }>;

const failureText = ({ what, why, next }: FaultParts): string =>
  [
    `nexusmon: ${what}`,
    ...(why === undefined ? [] : [`  why: ${why}`]),
    ...(next === undefined ? [] : [`  next: ${next}`]),
  ].join('\n');

/** Of our own faults: no gateway has said it, so there is no status and no trace. */
const documentOf = ({ code, what, why, next }: FaultParts) => ({
  type: 'about:blank',
  title: what,
  detail: why ?? what,
  code,
  ...(next === undefined ? {} : { hint: next }),
});

const own = (parts: FaultParts): Failure => ({ parts, document: documentOf(parts) });

const fieldsOf = ({ errors = [] }: ApiProblem['document']): string =>
  errors.map(({ path, message }) => `\n       ${path === '' ? '' : `${path}: `}${message}`).join('');

/** What the gateway hints at, where this command line has a command for it. */
const COMMANDS: Readonly<Record<string, string>> = {
  'mission-not-found': 'nexusmon mission list',
  'artifact-not-found': 'nexusmon artifact list',
  'approval-not-found': 'nexusmon approvals --status all',
  'operator-key-refused': 'check OPERATOR_KEY, or the file that run.json names',
  'operator-key-invalid': 'check OPERATOR_KEY, or the file that run.json names',
};

const factsOf = ({ state, possible }: ApiProblem['document']): string => {
  const now = typeof state === 'string' ? `; it is ${state}` : '';
  return Array.isArray(possible) ? `${now}; possible now: ${possible.join(', ') || 'nothing'}` : now;
};

const failureOf = (error: unknown): Failure => {
  if (error instanceof CliFault) return own(error.parts);
  if (error instanceof Ended) return own({ code: 'ended', what: error.message, exit: error.exit });
  if (error instanceof ApiProblem) {
    const { document, headers } = error;
    const wait = headers.get('retry-after');
    const next = `${COMMANDS[document.code] ?? document.hint}${wait === null ? '' : ` (in ${wait} s)`}`;
    const why = `${document.detail}${factsOf(document)}${fieldsOf(document)} [${document.code}, trace ${document.trace_id}]`;
    return { parts: { code: document.code, what: document.title, why, next, exit: exitOfProblem(document) }, document };
  }
  if (error instanceof Unreachable)
    return own({
      code: 'unreachable',
      what: error.message,
      next: 'npm start, or another --url or --data-dir',
      exit: EXIT.unavailable,
    });
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return own({ code: 'internal-fault', what: `the command line failed: ${what}`, exit: EXIT.failure });
};
