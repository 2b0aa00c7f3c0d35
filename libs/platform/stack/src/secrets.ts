// Who holds which secret.
//
//   S1. Everything is derived from one master secret: what is lost beside it comes back the same at the next start.
//   S2. A context's file holds what that context needs and nothing else.
//   S3. Folders are 0700, files 0600, and no secret is ever printed.
//   S4. A data folder belongs to the master secret it was born with: another one could open nothing in it.
//   S5. A key that is published or short is no key.

import { createPrivateKey, createPublicKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, StartFault } from './fault.js';
import { readIfThere, replaceFile } from './files.js';
import { CONTEXTS, type ContextName } from './nats-permissions.js';

const KEY_BYTES = 32;
/** The key of the published examples: everybody knows it. */
const PUBLISHED_KEYS = ['nexusmon_sovereign_key'];
const OPERATOR_KEY_LENGTH_MIN = 16;
const MASTER_SECRET_LENGTH_MIN = 16;
/** What comes before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export type Credentials = Readonly<{ user: string; password: string }>;

/** Credentials of components that somebody else runs; derived ones are used where none are given. */
export type OutsideCredentials = Readonly<{ nats?: Credentials; database?: Credentials; s3?: Credentials }>;

export type ContextSecrets = Readonly<Record<string, string>> &
  Readonly<{ nats_user: string; nats_password: string; database_user: string; database_password: string }>;

export type Secrets = Readonly<{
  dir: string;
  contexts: Readonly<Record<ContextName, ContextSecrets>>;
  s3: Credentials;
}>;

const derive = (master: string, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', master, 'nexusmon', info, KEY_BYTES));

const derivePassword = (master: string, info: string): string => derive(master, info).toString('base64url');

const deriveSigningKey = (master: string, info: string): KeyObject =>
  createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, derive(master, info)]), format: 'der', type: 'pkcs8' });

/**
 * What an operator's decision about the log is signed with: whoever holds the operator key can make it. Without the
 * pepper, which comes from the master secret, nobody can try keys against its public half.
 */
export const decisionKey = (operator_key: string, pepper: string): KeyObject => {
  const seed = Buffer.from(hkdfSync('sha256', operator_key, pepper, 'nexusmon decision', KEY_BYTES));
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
};

/** As it stands in a backup and in the record of a decision. */
export const publicHalf = (key: KeyObject): string =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64url');

export const masterProofFile = (data_dir: string): string => join(data_dir, 'secrets', 'master.proof');

const privatePem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const publicPem = (key: KeyObject): string => createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();

/** Writes a file that must not be there yet; another start that was faster wins, and its content is read. */
const createOnce = (path: string, content: string): string => {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx', flush: true });
    return content;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    return readIfThere(path) ?? content;
  }
};

const masterSecret = (data_dir: string, given: string | undefined): string => {
  if (given !== undefined && given.length < MASTER_SECRET_LENGTH_MIN)
    throw new StartFault(`NEXUS_MASTER_SECRET must have at least ${MASTER_SECRET_LENGTH_MIN} characters`);
  const path = join(data_dir, 'master.secret');
  const master =
    given ?? (readIfThere(path) ?? createOnce(path, `${randomBytes(KEY_BYTES).toString('base64url')}\n`)).trim();
  if (master === '') throw new StartFault(`${path} is empty: put the master secret of this data folder back`);
  const proof_path = masterProofFile(data_dir);
  const proof = derivePassword(master, 'proof');
  const known = readIfThere(proof_path)?.trim();
  if (known !== undefined && known !== proof)
    throw new StartFault(`the master secret is not the one ${data_dir} was made with: it could open nothing in it`);
  if (known === undefined) replaceFile(proof_path, `${proof}\n`);
  return master;
};

const particularsOf = (context: ContextName, master: string, s3: Credentials): Record<string, string> => {
  const wrap = { wrap_key: derive(master, 'keys').toString('base64') };
  const permit = deriveSigningKey(master, 'permit');
  const session = deriveSigningKey(master, 'session');
  switch (context) {
    case 'mission':
      return { ...wrap, permit_public_key: publicPem(permit) };
    case 'governance':
      return { ...wrap, permit_private_key: privatePem(permit), permit_public_key: publicPem(permit) };
    case 'gateway':
      return {
        ...wrap,
        session_private_key: privatePem(session),
        session_public_key: publicPem(session),
        pepper: derive(master, 'pepper').toString('base64'),
      };
    case 'vault':
      return { ...wrap, s3_access_key: s3.user, s3_secret_key: s3.password };
    case 'evolution':
      return wrap;
    case 'worker':
      return { permit_public_key: publicPem(permit) };
    case 'reader':
    case 'admin':
      return {};
  }
};

/** Makes the folder of secrets, or brings it up to date. */
export const prepareSecrets = (
  data_dir: string,
  given: Readonly<{ master_secret?: string; outside?: OutsideCredentials }> = {},
): Secrets => {
  const dir = join(data_dir, 'secrets');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const master = masterSecret(data_dir, given.master_secret);
  const { nats, database, s3: outside_s3 } = given.outside ?? {};
  const s3 = outside_s3 ?? { user: 'nexusmon', password: derivePassword(master, 's3') };
  const secretsOf = (context: ContextName): ContextSecrets => ({
    nats_user: nats?.user ?? context,
    nats_password: nats?.password ?? derivePassword(master, `nats/${context}`),
    database_user: context === 'admin' ? (database?.user ?? context) : context,
    database_password:
      context === 'admin' && database ? database.password : derivePassword(master, `database/${context}`),
    ...particularsOf(context, master, s3),
  });
  const contexts = Object.fromEntries(CONTEXTS.map((name) => [name, secretsOf(name)])) as Record<
    ContextName,
    ContextSecrets
  >;
  for (const name of CONTEXTS) {
    const path = join(dir, `${name}.json`);
    const content = `${JSON.stringify(contexts[name], undefined, 2)}\n`;
    if (readIfThere(path) !== content) replaceFile(path, content);
  }
  return { dir, contexts, s3 };
};

export const refuseWeakKey = (key: string, where: string): void => {
  if (PUBLISHED_KEYS.includes(key))
    throw new StartFault(
      `${where} is the published example key, which everybody knows: choose another or leave it unset`,
    );
  if (key.length < OPERATOR_KEY_LENGTH_MIN)
    throw new StartFault(`${where} must have at least ${OPERATOR_KEY_LENGTH_MIN} characters`);
};

/** The file that holds the operator's key. A key given by the environment never replaces the one made here. */
export const operatorKeyFile = (data_dir: string, given: string | undefined): string => {
  if (given !== undefined) {
    const key = given.trim(); // As whoever reads the file does.
    refuseWeakKey(key, 'OPERATOR_KEY');
    const path = join(data_dir, 'secrets', 'operator.key');
    replaceFile(path, `${key}\n`);
    return path;
  }
  const path = join(data_dir, 'operator.key');
  const key = readIfThere(path) ?? createOnce(path, `nx_op_${randomBytes(KEY_BYTES).toString('base64url')}\n`);
  refuseWeakKey(key.trim(), `the key in ${path}`);
  return path;
};
