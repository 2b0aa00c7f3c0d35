// The gateway as the commands ask it.
//
//   G1. A token that is refused is replaced once, where there is another. Nothing else is sent twice by itself.
//   G2. The operator key goes along only after the gateway has said that it takes it.

import {
  ApiProblem,
  type NexusmonClient,
  type Answer,
  type Arguments,
  type Body,
  type Operation,
  type Outgoing,
} from '@nexusmon/client';
import type { Credential } from './credential.js';

type Loose = Readonly<{ query?: Readonly<Record<string, unknown>>; headers?: Readonly<Record<string, string>> }>;

const withHeaders = <Name extends Operation>(input: Loose, headers: Readonly<Record<string, string>>) =>
  [{ ...input, headers: { ...headers, ...input.headers } }] as unknown as Arguments<Name>;

export type GatewayOptions = Readonly<{
  client: NexusmonClient;
  credential: Credential;
  operatorKey: () => Promise<string>;
}>;

const isRefusedToken = (error: unknown): boolean => error instanceof ApiProblem && error.document.status === 401;
const isProblem = (error: unknown, code: string): boolean =>
  error instanceof ApiProblem && error.document.code === code;

export class Gateway {
  constructor(private readonly options: GatewayOptions) {}

  call<Name extends Operation>(operation: Name, ...[input]: Arguments<Name>): Promise<Answer<Body<Name>>> {
    const { client } = this.options;
    return this.authorized((credential) =>
      client.call(operation, ...withHeaders<Name>((input ?? {}) as Loose, credential)),
    );
  }

  /** As `call`, for a verb that the operator key may have to go with (G2). */
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
  send(outgoing: Outgoing): Promise<Response> {
    const { client } = this.options;
    return this.authorized(async (credential) =>
      client.accepted(await client.send({ ...outgoing, headers: { ...credential, ...outgoing.headers } })),
    );
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
}
