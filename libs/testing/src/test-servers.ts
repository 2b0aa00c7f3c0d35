import { afterAll } from '@jest/globals';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServers, type Servers } from './servers.js';

declare global {
  /** The file that describes the servers of this run; jest.config.mjs sets it. */
  var nexusmon_test_servers: string | null;
}

const startOwn = async (): Promise<Servers> => {
  const folder = mkdtempSync(join(tmpdir(), 'nexusmon-servers-'));
  chmodSync(folder, 0o711); // As root, PostgreSQL runs as another user, who must get through.
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const { stop, ...servers } = await startServers(join(folder, 'data'));
    afterAll(() => stop().finally(remove));
    return servers;
  } catch (error) {
    remove();
    throw error;
  }
};

/**
 * The servers of this run of `npm test`, shared with other specs, so that a spec keeps to ids of its own. A spec that
 * runs alone, or that asks for `own` ones because it stops or spoils them, gets a set that ends with it.
 * To be awaited at the top level of a spec.
 */
export const testServers = async ({ own = false } = {}): Promise<Servers> => {
  const shared = globalThis.nexusmon_test_servers;
  return shared === null || own ? startOwn() : (JSON.parse(readFileSync(shared, 'utf8')) as Servers);
};
