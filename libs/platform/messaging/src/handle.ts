import { MessagePattern } from '@nestjs/microservices';
import type { Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';

const SUBJECT = /^(cmd|qry)\.[a-z]+\.[a-z_]+$/;

/** What the transport reads of a handler. */
export type HandlerExtras = Readonly<{ schema: z.ZodType }>;
export type RegisteredSubject = Readonly<{ subject: string; kind: 'cmd' | 'qry'; context: string; schema: z.ZodType }>;

const registry = new Map<string, RegisteredSubject>();

/** Every request that the loaded code answers: what a test walks through to find all ways in. */
export const registeredSubjects = (): readonly RegisteredSubject[] => [...registry.values()];

export const contextOfSubject = (subject: string): string => subject.split('.')[1] ?? '';

type Handler<Request> = (request: Request) => Promise<Reply<unknown>>;

/** Answers requests on `subject`, parsed and checked against `schema`. One handler per subject. */
export const Handle =
  <Schema extends z.ZodType>(subject: string, schema: Schema) =>
  <Method extends Handler<z.infer<Schema>>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    if (!SUBJECT.test(subject)) throw new TypeError(`${subject} is not the subject of a request`);
    if (registry.has(subject)) throw new TypeError(`${subject} has two handlers`);
    const kind = subject.startsWith('cmd.') ? 'cmd' : 'qry';
    registry.set(subject, { subject, kind, context: contextOfSubject(subject), schema });
    MessagePattern(subject, { schema } satisfies HandlerExtras)(target, key, descriptor);
  };
