// NATS, PostgreSQL and MinIO for specs: real ones, one interface, wherever they come from.
//
// Where a Docker engine answers they are containers of the versions that a deployment uses; elsewhere the embedded ones
// that `npm start` uses. Nothing here needs jest, so that `npm test` can start one set for all specs.

export type Servers = Readonly<{
  kind: 'containers' | 'embedded';
  nats_url: string;
  nats_monitor_url: string;
  /** Without credentials: those of each context are in `secrets_dir`. */
  database_url: string;
  s3_endpoint: string;
  s3_bucket: string;
  secrets_dir: string;
  streams: number;
}>;

export type StartedServers = Servers & Readonly<{ stop: () => Promise<void> }>;

const startEmbedded = async (folder: string): Promise<StartedServers> => {
  // Loaded when asked for: most specs have no server, and would pay for its drivers.
  const { startComponents } = await import('@nexusmon/stack');
  const { stop: _stop, remove, pids: _pids, ...servers } = await startComponents(folder);
  return { kind: 'embedded', ...servers, stop: remove };
};

/** `stop` also removes what was stored. */
export const startServers = async (folder: string): Promise<StartedServers> => {
  const { hasContainerEngine, startContainers } = await import('./containers.js');
  return (await hasContainerEngine()) ? startContainers(folder) : startEmbedded(folder);
};
