import { createServer } from 'node:net';
import { hasCode, StartFault } from './fault.js';

// Below the range the kernel takes outgoing connections from: a port must still be ours when a component that died is
// started again on it, and a passing connection of somebody else must not have taken it meanwhile.
const FIRST = 20_000;
const LAST = 31_999;
const ATTEMPTS_MAX = 200;

const LISTEN_CODES = ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL'];

const tryListen = (port: number, host: string): Promise<Error | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });

/** `count` different ports on which nobody listens now. */
export const freePorts = async (
  count: number,
  { host = '127.0.0.1', taken }: Readonly<{ host?: string; taken?: number }> = {},
): Promise<number[]> => {
  const found = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS_MAX && found.size < count; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (found.has(port) || port === taken) continue;
    const refusal = await tryListen(port, host);
    if (refusal === undefined) found.add(port);
    else if (!hasCode(refusal, ...LISTEN_CODES)) throw refusal;
  }
  if (found.size < count) throw new StartFault(`no ${count} free ports between ${FIRST} and ${LAST} on ${host}`);
  return [...found];
};

/** The port asked for, or a free one for 0. */
export const gatewayPort = async (port: number, host: string): Promise<number> => {
  const refusal = await tryListen(port, host);
  if (refusal === undefined) return port === 0 ? ((await freePorts(1, { host }))[0] ?? 0) : port;
  if (hasCode(refusal, 'EADDRINUSE'))
    throw new StartFault(`port ${port} on ${host} is busy; choose another with --port, or --port 0 for a free one`);
  if (hasCode(refusal, 'EACCES'))
    throw new StartFault(`port ${port} on ${host} may not be opened by this user; choose another with --port`);
  if (hasCode(refusal, ...LISTEN_CODES))
    throw new StartFault(`${host} is not an address of this machine; choose another with --host`);
  throw refusal;
};
