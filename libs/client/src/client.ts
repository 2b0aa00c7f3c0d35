// The client of the gateway: every route by its method and path, with the types that the gateway validates by.
//
//   C1. One call is one request. Nothing is sent twice by itself: only the caller knows whether that is safe.
//   C2. What is no success is thrown: `ApiProblem` with the gateway's document, or `Unreachable` when there is none.

import type { Operations } from './generated/operations.gen.js';
import type { Problem } from './generated/types.gen.js';

export type Operation = keyof Operations;

type Data<Name extends Operation> = Operations[Name]['data'];
/** What is undefined is not sent. */
type Query<Value> = Value extends object ? { [Name in keyof Value]: Value[Name] | undefined } : Value;
type Input<Name extends Operation> = Omit<Data<Name>, 'url' | 'query'> &
  Readonly<{ query?: Query<NonNullable<Data<Name>['query']>>; signal?: AbortSignal }>;
export type Body<Name extends Operation> = Operations[Name]['responses'][keyof Operations[Name]['responses']];

/** May be left out where the operation needs nothing. */
export type Arguments<Name extends Operation> =
  Record<never, never> extends Input<Name> ? [input?: Input<Name>] : [input: Input<Name>];

export type Answer<Value> = Readonly<{
  status: number;
  body: Value;
  headers: Headers;
  /** Where the log stood when this was true. */
  position: string | undefined;
}>;

export type Outgoing = Readonly<{
  method: string;
  /** With its query, from the root of the gateway. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** A form is read from where its file lies while it is sent. */
  body?: string | FormData;
  /** Ends this request alone. */
  signal?: AbortSignal;
}>;

/** Facts of a problem, such as `possible`, stand beside the fields that all have. */
export type ProblemDocument = Problem & Readonly<Record<string, unknown>>;

/** The gateway's refusal, in its own words. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';

  constructor(
    readonly document: ProblemDocument,
    readonly headers: Headers,
  ) {
    super(document.detail);
  }
}

/** No answer, or none that a gateway gives. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

export type NexusmonClientOptions = Readonly<{
  url: string;
  /** Added to every request: credential and name of the program. */
  headers: () => Readonly<Record<string, string>>;
  /** Ends all that is under way. */
  signal: AbortSignal;
}>;

/** Path parameters and query as the generated types have them, but without their names. */
type Loose = Readonly<{
  path?: Readonly<Record<string, unknown>>;
  query?: Readonly<Record<string, unknown>>;
  headers?: Readonly<Record<string, string>>;
  body?: unknown;
  signal?: AbortSignal;
}>;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const pathOf = (template: string, { path = {}, query = {} }: Loose): string => {
  const filled = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(path[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.append(name, textOf(value));
  return search.size === 0 ? filled : `${filled}?${search.toString()}`;
};

const isForm = (body: unknown): body is Readonly<Record<string, unknown>> =>
  typeof body === 'object' && body !== null && Object.values(body).some((value) => value instanceof Blob);

/** The fields, each item of a list by itself, and files behind them. */
const formOf = (body: Readonly<Record<string, unknown>>): FormData => {
  const form = new FormData();
  const entries = Object.entries(body).filter(([, value]) => value !== undefined);
  for (const [name, value] of entries)
    if (!(value instanceof Blob))
      for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) form.append(name, textOf(item));
  for (const [name, value] of entries) if (value instanceof Blob) form.append(name, value);
  return form;
};

const bodyOf = ({ body }: Loose): Pick<Outgoing, 'body' | 'headers'> => {
  if (body === undefined) return {};
  // What stands between the parts of a form is named by whoever writes them.
  if (isForm(body)) return { body: formOf(body) };
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
};

const outgoingOf = (operation: Operation, input: Loose): Outgoing => {
  const [method = '', template = ''] = operation.split(' ');
  const { body, headers } = bodyOf(input);
  return {
    method,
    path: pathOf(template, input),
    headers: { ...headers, ...input.headers },
    ...(body === undefined ? {} : { body }),
    ...(input.signal === undefined ? {} : { signal: input.signal }),
  };
};

const isProblem = (value: unknown): value is ProblemDocument =>
  typeof value === 'object' && value !== null && 'code' in value && 'detail' in value && 'status' in value;

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

const refusalOf = async (response: Response): Promise<Error> => {
  const { status, headers, url } = response;
  const document = parsed(await response.text());
  if (isProblem(document)) return new ApiProblem(document, headers);
  return new Unreachable(`${url} answered ${status} without saying why: it is not a NEXUSMON gateway`);
};

export class NexusmonClient {
  constructor(private readonly options: NexusmonClientOptions) {}

  async call<Name extends Operation>(operation: Name, ...[input]: Arguments<Name>): Promise<Answer<Body<Name>>> {
    const response = await this.open(operation, ...([input] as Arguments<Name>));
    const text = await response.text();
    const is_json = response.headers.get('content-type')?.includes('json') === true;
    const body = (is_json ? JSON.parse(text) : text) as Body<Name>;
    const { status, headers } = response;
    return { status, body, headers, position: headers.get('nexusmon-position') ?? undefined };
  }

  /** The response as it comes: bytes of an artifact, or a stream of events. */
  async open<Name extends Operation>(operation: Name, ...[input]: Arguments<Name>): Promise<Response> {
    return this.accepted(await this.send(outgoingOf(operation, (input ?? {}) as Loose)));
  }

  /** Any request, and its response whatever it says. */
  async send({ method, path, headers = {}, body, signal: own }: Outgoing): Promise<Response> {
    const { url, signal: all } = this.options;
    const signal = own === undefined ? all : AbortSignal.any([all, own]);
    try {
      return await fetch(new URL(path, url), {
        method,
        headers: { ...this.options.headers(), ...headers },
        redirect: 'manual',
        signal,
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      if (signal.aborted || !(error instanceof TypeError)) throw error;
      throw new Unreachable(`nothing answers at ${url}`, { cause: error });
    }
  }

  async accepted(response: Response): Promise<Response> {
    if (response.ok) return response;
    throw await refusalOf(response);
  }
}
