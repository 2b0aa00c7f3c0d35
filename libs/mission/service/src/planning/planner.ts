import { realpath, stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '@nexusmon/config';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import type { Json } from '@nexusmon/kernel';
import { parseTemplate, type CreateBody, type PlannedTask, type TemplateCall } from '@nexusmon/mission-contract';
import { planMission, type PlanSource } from '@nexusmon/mission-domain';
import {
  findUnkeepable,
  INLINE_BYTES_MAX,
  permittedUrl,
  type FieldError,
  type Rank,
  type Refusal,
} from '@nexusmon/shared-contract';
import { resolveAllowed } from '@nexusmon/worker-contract';
import { WorkerCatalog } from './catalog.js';

/**
 * What of a plan stays in the log, and is read with every decision: with sealed parameters and inputs of 64 KiB, which
 * grow by a third, it must leave room for the rest of the first commit.
 */
const OUTLINE_BYTES_MAX = 128 * 1024;
/** What lies in one blob. A body of 1 MiB comes to more only where a planner repeats it, or numbers are written out. */
const CONTENT_BYTES_MAX = 4 * 1024 * 1024;

export type Plan = Readonly<{
  plan_source: PlanSource;
  tasks: PlannedTask[];
  plan_digest: string;
  fingerprint: string;
  rank: Rank;
  effective_rank: Rank;
}>;
/** `oversized`: parameters and inputs are too large for events. */
export type Planning =
  Readonly<{ kind: 'planned'; plan: Plan; oversized: boolean }> | Readonly<{ kind: 'refused'; refusal: Refusal }>;

/** From a request to a plan with its digests, or to what is wrong with it. Nothing is written. */
@Injectable()
export class Planner {
  constructor(
    private readonly config: Config,
    private readonly catalog: WorkerCatalog,
  ) {}

  async plan(body: CreateBody): Promise<Planning> {
    let template: TemplateCall | undefined;
    if (body.template !== undefined) {
      const parsed = parseTemplate(body.template, body.params);
      if (parsed.kind === 'refused')
        return refused('plan-invalid', 'the template cannot be used like this', parsed.errors);
      template = parsed.call;
    }
    const planned = planMission({ body, ...(template ? { template } : {}) }, this.catalog.manifests);
    if (planned.kind === 'refused') return refused('plan-invalid', 'the plan cannot be carried out', planned.errors);
    const { plan_source, tasks, rank, effective_rank } = planned;
    const outside = await this.pathErrors(tasks, template !== undefined);
    if (outside.length > 0)
      return refused('path-outside-roots', 'workers may read only folders under the allowed roots', outside);

    const unlisted = this.urlErrors(tasks);
    if (unlisted.length > 0)
      return refused('egress-not-allowed', 'workers may ask only hosts that NEXUSMON_FETCH_HOSTS lists', unlisted);

    const deep = findUnkeepable({ tasks });
    const path = body.plan ? 'plan' : 'params';
    if (deep) return tooLarge(path, `${deep.message}, with what the plan adds around it`);
    const text = canonical({ tasks });
    const { content_bytes, outline_bytes } = sizesOf(text, tasks, body.params);
    if (outline_bytes > OUTLINE_BYTES_MAX)
      return tooLarge(path, `without inputs it comes to ${outline_bytes} bytes, ${OUTLINE_BYTES_MAX} may be`);
    if (content_bytes > CONTENT_BYTES_MAX)
      return tooLarge(path, `parameters and inputs come to ${content_bytes} bytes, ${CONTENT_BYTES_MAX} may be`);
    const plan_digest = sha256Hex(text);
    const fingerprint = sha256Hex(canonical({ plan_digest, params: body.params }));
    const plan = { plan_source, tasks, plan_digest, fingerprint, rank, effective_rank };
    return { kind: 'planned', plan, oversized: content_bytes > INLINE_BYTES_MAX };
  }

  /** Folders that are written in the plan are looked up now; those that come from outputs, by the worker. */
  private async pathErrors(tasks: readonly PlannedTask[], templated: boolean): Promise<FieldError[]> {
    const { allowed_roots, forbidden_roots } = this.config.worker;
    const errors: FieldError[] = [];
    for (const [index, { worker, input }] of tasks.entries())
      for (const field of this.catalog.get(worker)?.path_fields ?? []) {
        const path = textIn(input, field);
        if (path === undefined) continue;
        const found = await resolveAllowed(path, allowed_roots, forbidden_roots, realpath);
        const where = templated ? `params/${field}` : `plan/tasks/${index}/input/${field}`;
        const message = found.allowed ? await notAFolder(found.path) : found.message;
        if (message !== undefined && !errors.some((error) => error.path === where))
          errors.push({ path: where, message });
      }
    return errors;
  }

  /** URLs that are written in the plan are looked up now; those that come from outputs, by the worker. */
  private urlErrors(tasks: readonly PlannedTask[]): FieldError[] {
    return tasks.flatMap(({ worker, input }, index) =>
      (this.catalog.get(worker)?.url_fields ?? []).flatMap((field) => {
        const url = textIn(input, field);
        const found = url === undefined ? undefined : permittedUrl(url, this.config.egress);
        if (!found || found.permitted) return [];
        return [{ path: `plan/tasks/${index}/input/${field}`, message: found.message }];
      }),
    );
  }
}

/** What is written in this field, where it is text and no reference. */
const textIn = (input: Json, field: string): string | undefined => {
  const value = typeof input === 'object' && input !== null && !Array.isArray(input) ? input[field] : undefined;
  return typeof value === 'string' ? value : undefined;
};

const notAFolder = async (path: string): Promise<string | undefined> =>
  (await stat(path)).isDirectory() ? undefined : 'there is a file at this path, not a folder';

/** A plan that was made from a goal or a template holds what the parameters hold, some levels deeper. */
const tooLarge = (path: string, message: string): Planning =>
  refused('plan-too-large', 'plans and parameters of this size and depth are not kept', [{ path, message }]);

const bytesOf = (value: Json): number => Buffer.byteLength(canonical(value));

/** `content`: parameters and inputs. `outline`: what a plan is without them. `text`: the plan as canonical JSON. */
const sizesOf = (text: string, tasks: readonly PlannedTask[], params: CreateBody['params']) => {
  const input_bytes = tasks.reduce((sum, { input }) => sum + bytesOf(input), 0);
  return { content_bytes: bytesOf(params) + input_bytes, outline_bytes: Buffer.byteLength(text) - input_bytes };
};

const refused = (code: string, detail: string, errors: FieldError[]): Planning => ({
  kind: 'refused',
  refusal: { code, detail, errors },
});
