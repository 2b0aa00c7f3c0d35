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

/**
 * `starting`: it has not read what was there when it came up. `read_only`: the log may not be written, and a person has
 * to look at why. `degraded`: up, and something it needs is away. A restart mends neither of the last two.
 */
export type HealthStatus = 'ok' | 'starting' | 'read_only' | 'degraded' | 'stopping';

export type HealthReport = Readonly<{
  status: HealthStatus;
  /** Why it is not `ok`. */
  reason?: string;
  /** Everything can be done. */
  ready: boolean;
  /** Every probe by name; absent reasons mean that all is well. */
  checks: Readonly<Record<string, Readonly<{ ok: boolean; reason?: string }>>>;
  details: Readonly<Record<string, unknown>>;
}>;

/** What a probe's failure makes of the process, the gravest first. */
const MEANINGS = ['starting', 'read_only', 'degraded'] as const;
type Meaning = (typeof MEANINGS)[number];

type Found = Readonly<{ name: string; means: Meaning; reason: string | undefined }>;

const reasonOf = ({ name, means, reason }: Found): string[] => {
  if (reason === undefined) return [];
  return [means === 'read_only' ? reason : `${name}: ${reason}`];
};

/** Injectable: the class is its own token. */
export class Health {
  private readonly probes = new Map<string, Readonly<{ probe: Probe; means: Meaning }>>();
  private readonly details = new Map<string, Detail>();
  private stopping = false;

  /** `probe` says why the process cannot serve all that it should; undefined when it can. */
  addProbe(name: string, probe: Probe): void {
    this.probes.set(name, { probe, means: 'degraded' });
  }

  /** As `addProbe`, for what keeps the process from writing and from nothing else. */
  addWriteProbe(name: string, probe: Probe): void {
    this.probes.set(name, { probe, means: 'read_only' });
  }

  /** As `addProbe`, for what is still to be done before the process is up. */
  addStartProbe(name: string, probe: Probe): void {
    this.probes.set(name, { probe, means: 'starting' });
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
      [...this.probes].map(async ([name, { probe, means }]) => ({ name, means, reason: await withinTime(probe) })),
    );
    return {
      ...this.standing(found),
      checks: Object.fromEntries(
        found.map(({ name, reason }) => [name, reason === undefined ? { ok: true } : { ok: false, reason }]),
      ),
      details: Object.fromEntries([...this.details].map(([name, detail]) => [name, detail()])),
    };
  }

  private standing(found: readonly Found[]): Pick<HealthReport, 'status' | 'reason' | 'ready'> {
    if (this.stopping) return { status: 'stopping', ready: false };
    const failed = found.filter(({ reason }) => reason !== undefined);
    const status = MEANINGS.find((meaning) => failed.some(({ means }) => means === meaning));
    if (status === undefined) return { status: 'ok', ready: true };
    // Contexts of one process find the same about the same log.
    const reasons = new Set(failed.filter(({ means }) => means === status).flatMap(reasonOf));
    return { status, reason: [...reasons].join('; '), ready: false };
  }
}
