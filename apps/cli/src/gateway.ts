// The gateway as the commands ask it.
//
//   G1. What one has written one reads: the position of the last write goes with every read that can wait for it, from
//       one command to the next.
//   G2. A token that is refused is replaced once, where there is another. Nothing else is sent twice by itself.
//   G3. The operator key goes along only after the gateway has said that it takes it.

import {
  ApiProblem,
  type NexusmonClient,
  positionOf,
  waitsForPosition,
  type Answer,
  type Arguments,
  type Body,
  type Operation,
  type Outgoing,
} from '@nexusmon/client';
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Credential } from './credential.js';
import { hasCode } from './fault.js';
import type { Place } from './place.js';
import { StateFile } from './state-file.js';

/** Views are behind by moments; a position of long ago would only be one more thing to go wrong. */
const POSITION_COUNTS_MS = 600_000;
const PLACE_DIGITS = 16;

type Kept = Readonly<{ position: string; written_at: string }>;

const isKept = (value: unknown): value is Kept =>
  typeof value === 'object' &&
  value !== null &&
  'position' in value &&
  typeof value.position === 'string' &&
  'written_at' in value &&
  typeof value.written_at === 'string';

/** The last position that was written to a place, kept from command to command. */
export class LastWrite {
  private readonly file: StateFile;
  private known: string | undefined;

  constructor({ url, data_dir }: Place) {
    const digits = createHash('sha256').update(url).digest('hex').slice(0, PLACE_DIGITS);
    const folder =
      data_dir === undefined ? join(homedir(), '.local', 'state', 'nexusmon', digits) : join(data_dir, 'cli');
    this.file = new StateFile(join(folder, 'position.json'));
  }

  get position(): string | undefined {
    if (this.known !== undefined) return this.known;
    const kept = this.file.read();
    const counts = isKept(kept) && Date.parse(kept.written_at) > Date.now() - POSITION_COUNTS_MS;
    return counts ? kept.position : undefined;
  }

  note(position: string): void {
    this.known = position;
    try {
      this.file.write({ position, written_at: new Date().toISOString() } satisfies Kept);
    } catch (error) {
      // Then it holds for this command alone.
      if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT')) throw error;
    }
  }

  forget(): void {
    this.known = undefined;
    this.file.remove();
  }
}

type Loose = Readonly<{ query?: Readonly<Record<string, unknown>>; headers?: Readonly<Record<string, string>> }>;

const withHeaders = <Name extends Operation>(input: Loose, headers: Readonly<Record<string, string>>) =>
  [{ ...input, headers: { ...headers, ...input.headers } }] as unknown as Arguments<Name>;

export type GatewayOptions = Readonly<{
  client: NexusmonClient;
  credential: Credential;
  last_write: LastWrite;
  operatorKey: () => Promise<string>;
}>;

const isRefusedToken = (error: unknown): boolean => error instanceof ApiProblem && error.document.status === 401;
const isProblem = (error: unknown, code: string): boolean =>
  error instanceof ApiProblem && error.document.code === code;

export class Gateway {
  constructor(private readonly options: GatewayOptions) {}

  async call<Name extends Operation>(operation: Name, ...[input]: Arguments<Name>): Promise<Answer<Body<Name>>> {
    const { client, last_write } = this.options;
    const ask = (request: Loose): Promise<Answer<Body<Name>>> =>
      this.authorized((credential) => client.call(operation, ...withHeaders<Name>(request, credential)));
    const answer = await this.afterOwnWrites(operation, input ?? {}, ask);
    if (!operation.startsWith('GET ') && answer.position !== undefined) last_write.note(answer.position);
    return answer;
  }

  /** As `call`, for a verb that the operator key may have to go with (G3). */
  async callSovereign<Name extends Operation>(
    operation: Name,
    ...[input]: Arguments<Name>
  ): Promise<Answer<Body<Name>>> {
    try {
      return await this.call(operation, ...([input] as Arguments<Name>));
    } catch (error) {
      if (!isProblem(error, 'operator-key-required')) throw error;
      const key = { 'X-Operator-Key': await this.options.operatorKey() };
      return this.call(operation, ...withHeaders<Name>((input ?? {}) as Loose, key));
    }
  }

  /** A response to be read piece by piece. */
  open<Name extends Operation>(operation: Name, ...[input]: Arguments<Name>): Promise<Response> {
    const { client } = this.options;
    return this.authorized((credential) =>
      client.open(operation, ...withHeaders<Name>((input ?? {}) as Loose, credential)),
    );
  }

  /** Any request, and what is answered, whatever it is. */
  async send(outgoing: Outgoing): Promise<Response> {
    const { client, last_write } = this.options;
    const response = await this.authorized(async (credential) =>
      client.accepted(await client.send({ ...outgoing, headers: { ...credential, ...outgoing.headers } })),
    );
    const position = positionOf(response);
    if (outgoing.method !== 'GET' && position !== undefined) last_write.note(position);
    return response;
  }

  close(): Promise<void> {
    return this.options.credential.close();
  }

  private async authorized<Value>(ask: (headers: Readonly<Record<string, string>>) => Promise<Value>): Promise<Value> {
    const { credential } = this.options;
    const headers = async () => ({ authorization: `Bearer ${await credential.token()}` });
    try {
      return await ask(await headers());
    } catch (error) {
      if (!isRefusedToken(error) || !(await credential.renew())) throw error;
      return ask(await headers());
    }
  }

  private async afterOwnWrites<Value>(
    operation: Operation,
    input: Loose,
    ask: (input: Loose) => Promise<Value>,
  ): Promise<Value> {
    const { last_write } = this.options;
    const min_position = last_write.position;
    if (!waitsForPosition(operation) || min_position === undefined || input.query?.['min_position'] !== undefined)
      return ask(input);
    try {
      return await ask({ ...input, query: { ...input.query, min_position } });
    } catch (error) {
      // The log is another one than it was: what was written to that one is not here.
      if (!isProblem(error, 'malformed-position')) throw error;
      last_write.forget();
      return ask(input);
    }
  }
}
