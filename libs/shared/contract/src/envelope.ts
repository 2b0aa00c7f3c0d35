import { z } from 'zod';
import { actor, command_id, event_id, instant, json_object } from './words.js';

/**
 * CloudEvents 1.0 as the log stores it. `type` is `nexusmon.<context>.<EventName>.v<N>`, `source` is
 * `/nexusmon/<context>`, `subject` the aggregate's id, `correlationid` the mission (or the aggregate itself where there
 * is none), `causationid` the command.
 */
export const cloudEvent = z.strictObject({
  specversion: z.literal('1.0'),
  id: event_id,
  source: z.string(),
  type: z.string().regex(/^nexusmon\.[a-z]+\.[A-Z][A-Za-z]+\.v[1-9][0-9]*$/),
  subject: z.string(),
  time: instant,
  datacontenttype: z.literal('application/json'),
  actor,
  correlationid: z.string(),
  causationid: command_id,
  traceparent: z.string().optional(),
  data: json_object,
});
export type CloudEvent = z.infer<typeof cloudEvent>;
