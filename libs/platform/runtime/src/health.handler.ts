import { Controller, type Type } from '@nestjs/common';
import type { Context } from '@nexusmon/config';
import { Handle } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { Health, type HealthReport } from './health.js';

const nothing = z.strictObject({});

/** `qry.<context>.health`: what the process that answers for a context says of itself. */
export const healthHandlerOf = (context: Context): Type => {
  @Controller()
  class HealthHandler {
    constructor(private readonly health: Health) {}

    @Handle(`qry.${context}.health`, nothing)
    async report(_request: z.infer<typeof nothing>): Promise<Reply<HealthReport>> {
      return { kind: 'done', changed: false, position: '', body: await this.health.report() };
    }
  }
  return HealthHandler;
};
