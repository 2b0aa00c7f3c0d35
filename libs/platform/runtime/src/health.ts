// Health: what this process says about itself on its own port. The gateway puts the answers of all together.

export type Probe = () => Promise<string | undefined> | string | undefined;
export type Detail = () => unknown;

const PROBE_TIMEOUT_MS = 2_000;

const withinTime = async (probe: Probe): Promise<string | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${PROBE_TIMEOUT_MS} ms`), PROBE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(probe()), late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
};

/** `read_only`: all is well but that the log may not be written, and somebody has to look at why. */
export type HealthStatus = 'ok' | 'read_only' | 'down';

export type HealthReport = Readonly<{
  status: HealthStatus;
  /** Everything can be done. */
  ready: boolean;
  /** Why the log may not be written, where only that is wrong. */
  read_only?: string;
  /** Every probe by name; absent reasons mean that all is well. */
  checks: Readonly<Record<string, Readonly<{ ok: boolean; reason?: string }>>>;
  details: Readonly<Record<string, unknown>>;
}>;

/** Injectable: the class is its own token. */
export class Health {
  private readonly probes = new Map<string, Probe>();
  private readonly writes = new Set<string>();
  private readonly details = new Map<string, Detail>();
  private stopping = false;

  /** `probe` says why the process cannot serve; undefined when it can. */
  addProbe(name: string, probe: Probe): void {
    this.probes.set(name, probe);
  }

  /** As `addProbe`, for what keeps the process from writing and from nothing else. */
  addWriteProbe(name: string, probe: Probe): void {
    this.writes.add(name);
    this.addProbe(name, probe);
  }

  /** Figures for people; they decide nothing. */
  addDetail(name: string, detail: Detail): void {
    this.details.set(name, detail);
  }

  /** From here on the process is not ready, whatever the probes say. */
  stop(): void {
    this.stopping = true;
  }

  async report(): Promise<HealthReport> {
    const found = await Promise.all(
      [...this.probes].map(async ([name, probe]) => {
        const reason = await withinTime(probe);
        return [name, reason === undefined ? { ok: true } : { ok: false, reason }] as const;
      }),
    );
    const failed = found.filter(([, { ok }]) => !ok);
    const status = this.statusOf(failed.map(([name]) => name));
    const read_only = status === 'read_only' ? failed[0]?.[1].reason : undefined;
    return {
      status,
      ready: status === 'ok',
      ...(read_only === undefined ? {} : { read_only }),
      checks: Object.fromEntries(found),
      details: Object.fromEntries([...this.details].map(([name, detail]) => [name, detail()])),
    };
  }

  private statusOf(failed: readonly string[]): HealthStatus {
    if (this.stopping || failed.some((name) => !this.writes.has(name))) return 'down';
    return failed.length > 0 ? 'read_only' : 'ok';
  }
}
