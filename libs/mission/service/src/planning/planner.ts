import { realpath, stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '@nexusmon/config';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { parseTemplate, type CreateBody, type PlannedTask, type TemplateCall } from '@nexusmon/mission-contract';
import { planMission, type PlanSource } from '@nexusmon/mission-domain';
import { findUnkeepable, INLINE_BYTES_MAX, type FieldError, type Rank, type Refusal } from '@nexusmon/shared-contract';
import { resolveAllowed } from '@nexusmon/worker-contract';
import { WorkerCatalog } from './catalog.js';

export type Plan = Readonly<{
  plan_source: PlanSource;
  tasks: PlannedTask[];
  plan_digest: string;
  fingerprint: string;
  rank: Rank;
  effective_rank: Rank;
}>;
export type Planning = Readonly<{ kind: 'planned'; plan: Plan }> | Readonly<{ kind: 'refused'; refusal: Refusal }>;

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

    const oversized = sizeErrors(body, tasks);
    if (oversized.length > 0)
      return refused('plan-too-large', 'the log keeps plans and parameters of this size and depth only', oversized);
    const plan_digest = sha256Hex(canonical({ tasks }));
    const fingerprint = sha256Hex(canonical({ plan_digest, params: body.params }));
    return { kind: 'planned', plan: { plan_source, tasks, plan_digest, fingerprint, rank, effective_rank } };
  }

  /** Folders that are written in the plan are looked up now; those that come from outputs, by the worker. */
  private async pathErrors(tasks: readonly PlannedTask[], templated: boolean): Promise<FieldError[]> {
    const { allowed_roots, forbidden_roots } = this.config.worker;
    const errors: FieldError[] = [];
    for (const [index, { worker, input }] of tasks.entries())
      for (const field of this.catalog.get(worker)?.path_fields ?? []) {
        const path = typeof input === 'object' && input !== null && !Array.isArray(input) ? input[field] : undefined;
        if (typeof path !== 'string') continue;
        const found = await resolveAllowed(path, allowed_roots, forbidden_roots, realpath);
        const where = templated ? `params/${field}` : `plan/tasks/${index}/input/${field}`;
        const message = found.allowed ? await notAFolder(found.path) : found.message;
        if (message !== undefined && !errors.some((error) => error.path === where))
          errors.push({ path: where, message });
      }
    return errors;
  }
}

const notAFolder = async (path: string): Promise<string | undefined> =>
  (await stat(path)).isDirectory() ? undefined : 'there is a file at this path, not a folder';

/** A plan that was made from a goal or a template holds what the parameters hold, some levels deeper. */
const sizeErrors = (body: CreateBody, tasks: readonly PlannedTask[]): FieldError[] => {
  const path = body.plan ? 'plan' : 'params';
  const deep = findUnkeepable({ tasks });
  if (deep) return [{ path, message: `${deep.message}, with what the plan adds around it` }];
  // What is sealed grows by a third, and a commit holds 256 KiB: the rest of a plan is bounded by its number of tasks.
  const bytes = Buffer.byteLength(canonical({ params: body.params, inputs: tasks.map(({ input }) => input) }));
  if (bytes <= INLINE_BYTES_MAX) return [];
  const heavier = Buffer.byteLength(canonical(body.params)) * 2 > bytes ? 'params' : path;
  return [{ path: heavier, message: `parameters and inputs come to ${bytes} bytes, ${INLINE_BYTES_MAX} may be` }];
};

const refused = (code: string, detail: string, errors: FieldError[]): Planning => ({
  kind: 'refused',
  refusal: { code, detail, errors },
});
