// Who asks.
//
//   C1. On a data folder: a session of its own, opened once and kept in the folder for this user alone.
//   C2. With --url: NEXUSMON_TOKEN, or a session that is opened for one command and ends with it.
//   C3. A login is tried once. Wrong ones are counted, and a lock-out only grows when it is pressed against.

import type { NexusmonClient } from '@nexusmon/client';
import { join } from 'node:path';
import type { Place } from './place.js';
import { StateFile } from './state-file.js';

export type Credential = Readonly<{
  token: () => Promise<string>;
  /** After the gateway has refused the token: whether there is another one to try. */
  renew: () => Promise<boolean>;
  /** The command is over. */
  close: () => Promise<void>;
}>;

export type CredentialOptions = Readonly<{
  client: NexusmonClient;
  /** For what is sent when the command is over, however it has ended. */
  farewell: () => NexusmonClient;
  place: Place;
  operatorKey: () => Promise<string>;
  token: string | undefined;
}>;

/** One that is about to end could end on the way. */
const MARGIN_MS = 60_000;

type Session = Readonly<{ token: string; expires_at: string }>;

const isSession = (value: unknown): value is Session =>
  typeof value === 'object' &&
  value !== null &&
  'token' in value &&
  typeof value.token === 'string' &&
  'expires_at' in value &&
  typeof value.expires_at === 'string';

const logIn = async ({ client, operatorKey }: CredentialOptions): Promise<Session> => {
  const operator_key = await operatorKey();
  const { body } = await client.call('POST /v1/auth/login', { body: { operator_key } });
  return body;
};

const keptSession = (options: CredentialOptions, data_dir: string): Credential => {
  const file = new StateFile(join(data_dir, 'cli', 'session.json'));
  let session: Session | undefined;
  const kept = (): Session | undefined => {
    const found = file.read();
    return isSession(found) && Date.parse(found.expires_at) > Date.now() + MARGIN_MS ? found : undefined;
  };
  const open = async (): Promise<Session> => {
    const opened = await logIn(options);
    file.write(opened);
    return opened;
  };
  return {
    token: async () => (session ??= kept() ?? (await open())).token,
    renew: async () => {
      const refused = session?.token;
      const found = kept();
      // Another command may have logged in meanwhile.
      session = found && found.token !== refused ? found : await open();
      return true;
    },
    close: async () => undefined,
  };
};

const passingSession = (options: CredentialOptions): Credential => {
  let session: Session | undefined;
  return {
    token: async () => (session ??= await logIn(options)).token,
    renew: async () => false,
    close: async () => {
      if (!session) return;
      const headers = { authorization: `Bearer ${session.token}` };
      session = undefined;
      await options.farewell().send({ method: 'POST', path: '/v1/auth/logout', headers });
    },
  };
};

const givenToken = (token: string): Credential => ({
  token: async () => token,
  renew: async () => false,
  close: async () => undefined,
});

export const credentialOf = (options: CredentialOptions): Credential => {
  if (options.place.data_dir !== undefined) return keptSession(options, options.place.data_dir);
  return options.token === undefined ? passingSession(options) : givenToken(options.token);
};
