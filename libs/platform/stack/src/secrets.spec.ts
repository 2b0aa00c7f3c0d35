import { afterAll, describe, expect, it } from '@jest/globals';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { operatorKeyFile, prepareSecrets } from './secrets.js';

const root = mkdtempSync(join(tmpdir(), 'nexusmon-secrets-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const newFolder = () => mkdtempSync(join(root, 'data-'));
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('the secrets of a data folder', () => {
  it('are the same at every start (S1)', () => {
    const folder = newFolder();
    expect(prepareSecrets(folder)).toEqual(prepareSecrets(folder));
  });

  it('come back from the master secret alone (S1)', () => {
    const given = { master_secret: 'a master secret of some length' };
    const [one, other] = [prepareSecrets(newFolder(), given), prepareSecrets(newFolder(), given)];
    expect(one.contexts).toEqual(other.contexts);
    expect(prepareSecrets(newFolder()).contexts.mission).not.toEqual(one.contexts.mission);
  });

  it('belong to one context each (S2)', () => {
    const { contexts } = prepareSecrets(newFolder());
    const passwords = Object.values(contexts).flatMap((one) => [one.nats_password, one.database_password]);
    expect(new Set(passwords).size).toBe(passwords.length);
    const names = (context: keyof typeof contexts) =>
      Object.keys(contexts[context]).filter((name) => !/^(nats|database)_/.test(name));
    expect(names('worker')).toEqual(['permit_public_key']);
    expect(names('vault')).toEqual(['wrap_key', 's3_access_key', 's3_secret_key']);
    expect(names('reader')).toEqual([]);
    expect(Object.entries(contexts).filter(([, one]) => 'permit_private_key' in one)).toHaveLength(1);
  });

  it('hold the public key of the permits that governance signs', () => {
    const { governance, worker, mission } = prepareSecrets(newFolder()).contexts;
    const signing = createPrivateKey(governance['permit_private_key'] ?? '');
    const spki = createPublicKey(signing).export({ format: 'pem', type: 'spki' });
    expect([worker['permit_public_key'], mission['permit_public_key']]).toEqual([spki, spki]);
    expect(signing.asymmetricKeyType).toBe('ed25519');
  });

  it('are closed to everybody else (S3)', () => {
    const folder = newFolder();
    const { dir } = prepareSecrets(folder);
    expect(modeOf(dir)).toBe(0o700);
    const files = [...readdirSync(dir).map((name) => join(dir, name)), join(folder, 'master.secret')];
    expect(files.map(modeOf)).toEqual(files.map(() => 0o600));
  });

  it('are refused with another master secret than the one they were made with (S4)', () => {
    const folder = newFolder();
    prepareSecrets(folder);
    expect(() => prepareSecrets(folder, { master_secret: 'quite another master secret' })).toThrow(/not the one/);
    writeFileSync(join(folder, 'master.secret'), '');
    expect(() => prepareSecrets(folder)).toThrow(/is empty/);
  });

  it('need a master secret of some length', () => {
    expect(() => prepareSecrets(newFolder(), { master_secret: 'short' })).toThrow(/at least 16/);
  });
});

describe('the operator key', () => {
  const prepared = () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'secrets'));
    return folder;
  };

  it('is made once, long and closed', () => {
    const folder = prepared();
    const path = operatorKeyFile(folder, undefined);
    const key = readFileSync(path, 'utf8');
    expect(key).toMatch(/^nx_op_[\w-]{43}\n$/);
    expect(modeOf(path)).toBe(0o600);
    expect(readFileSync(operatorKeyFile(folder, undefined), 'utf8')).toBe(key);
  });

  it('given by the environment stands beside the one that was made', () => {
    const folder = prepared();
    const made = operatorKeyFile(folder, undefined);
    const given = operatorKeyFile(folder, ' a key of my own choosing\n');
    expect(given).not.toBe(made);
    expect(readFileSync(given, 'utf8')).toBe('a key of my own choosing\n');
    expect(operatorKeyFile(folder, undefined)).toBe(made);
  });

  it.each([
    ['nexusmon_sovereign_key', /published/],
    [' nexusmon_sovereign_key\t', /published/],
    ['short', /at least 16/],
  ])('%s is no key (S5)', (key, says) => {
    const folder = prepared();
    expect(() => operatorKeyFile(folder, key)).toThrow(says);
    writeFileSync(join(folder, 'operator.key'), `${key}\n`);
    expect(() => operatorKeyFile(folder, undefined)).toThrow(says);
  });
});
