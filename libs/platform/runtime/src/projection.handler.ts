import { Controller, type Type } from '@nestjs/common';
import type { Context } from '@nexusmon/config';
import { Handle } from '@nexusmon/messaging';
import { listProjections, Projections, rebuildProjection, type ProjectionDocument } from '@nexusmon/projections';
import { answered, type Refusal, type Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';

const refused = (refusal: Refusal): Reply<never> => ({ kind: 'refused', refusal });

/** What a context derives, and its rebuild: the same for every context, by whatever projections it has added. */
export const projectionHandlerOf = (context: Context): Type => {
  @Controller()
  class ProjectionHandler {
    constructor(private readonly projections: Projections) {}

    @Handle(`qry.${context}.projections`, listProjections)
    async list({ name }: z.infer<typeof listProjections>): Promise<Reply<readonly ProjectionDocument[]>> {
      return answered(await this.projections.documents(context, name));
    }

    @Handle(`cmd.${context}.rebuild`, rebuildProjection)
    async rebuild({ name, check, rebuild_id }: z.infer<typeof rebuildProjection>): Promise<Reply<ProjectionDocument>> {
      const own = name.startsWith(`${context}.`);
      const begun = own ? await this.projections.rebuild(name, check, rebuild_id) : undefined;
      if (begun === 'running') return refused({ code: 'rebuild-running', detail: `${name} is being rebuilt already` });
      if (begun === 'reused')
        return refused({ code: 'idempotency-key-reused', detail: 'this Idempotency-Key stands for another request' });
      if (!begun) return refused({ code: 'projection-not-found', detail: `there is no projection ${name}` });
      return { kind: 'done', changed: true, position: '', body: begun };
    }
  }
  return ProjectionHandler;
};
