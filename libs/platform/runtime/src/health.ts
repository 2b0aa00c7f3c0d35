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

export type HealthReport = Readonly<{
  ready: boolean;
  /** Every probe by name; absent reasons mean that all is well. */
  checks: Readonly<Record<string, Readonly<{ ok: boolean; reason?: string }>>>;
  details: Readonly<Record<string, unknown>>;
}>;

/** Injectable: the class is its own token. */
export class Health {
  private readonly probes = new Map<string, Probe>();
  private readonly details = new Map<string, Detail>();
  private stopping = false;

  /** `probe` says why the process cannot serve; undefined when it can. */
  addProbe(name: string, probe: Probe): void {
    this.probes.set(name, probe);
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
    return {
      ready: !this.stopping && found.every(([, { ok }]) => ok),
      checks: Object.fromEntries(found),
      details: Object.fromEntries([...this.details].map(([name, detail]) => [name, detail()])),
    };
  }

  async ready(): Promise<boolean> {
    return (await this.report()).ready;
  }
}
