import { digest, rank, type Rank } from '@nexusmon/shared-contract';
import { z } from 'zod';

export const worker_name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}(\.[a-z][a-z0-9_-]{0,63})*$/)
  .meta({ id: 'WorkerName' });

/** What the product knows of a worker before it runs it. `digest` names this version of its code and schemas. */
export const workerManifest = z.strictObject({
  name: worker_name,
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  digest,
  description: z.string(),
  capabilities: z.array(z.string()),
  risk_level: rank,
  requires_approval: z.boolean(),
  timeout_seconds: z.number().positive(),
  /** JSON Schema 2020-12. */
  input_schema: z.record(z.string(), z.unknown()),
  output_schema: z.record(z.string(), z.unknown()),
});
export type WorkerManifest = z.infer<typeof workerManifest>;

type Described = Readonly<{
  name: string;
  version: string;
  description: string;
  capabilities: readonly string[];
  risk_level: Rank;
  requires_approval: boolean;
  timeout_seconds: number;
  input: z.ZodType;
  output: z.ZodType;
}>;

/** Where a schema says what JSON Schema has no word for (our JSON type, say), anything is allowed there. */
const jsonSchema = (schema: z.ZodType, io: 'input' | 'output') =>
  JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io, unrepresentable: 'any' }))) as Record<string, unknown>;

/**
 * The manifest of a worker as every process computes it. Its digest covers what a plan can rely on: the name, the
 * version, and the two schemas.
 */
export const manifestOf = (worker: Described, digestOf: (value: object) => string): WorkerManifest => {
  const { name, version, description, capabilities, risk_level, requires_approval, timeout_seconds } = worker;
  const input_schema = jsonSchema(worker.input, 'input');
  const output_schema = jsonSchema(worker.output, 'output');
  return {
    name,
    version,
    digest: digestOf({ name, version, schemas: { input: input_schema, output: output_schema } }),
    description,
    capabilities: [...capabilities],
    risk_level,
    requires_approval,
    timeout_seconds,
    input_schema,
    output_schema,
  };
};
