// Schemas as documents describe them: each that has a name of its own stands once, and is referred to.

import { z } from 'zod';

export type JsonSchema = Record<string, unknown>;

/** Shared schemas stand once, under the id that their contract gives them. */
export class Components {
  readonly schemas: Record<string, JsonSchema> = {};

  /** `io` matters: what has a default may be left out of a request and is always there in an answer. */
  schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
    const { $defs, $schema, ...root } = z.toJSONSchema(schema, {
      io,
      target: 'draft-2020-12',
      unrepresentable: 'any',
      reused: 'inline',
    }) as JsonSchema;
    void $schema;
    const definitions = ($defs ?? {}) as Record<string, JsonSchema>;
    for (const [name, definition] of Object.entries(definitions)) this.add(name, definition);
    const id = schema.meta()?.id;
    if (id === undefined) return relocated(root) as JsonSchema;
    this.add(id, root);
    return { $ref: `#/components/schemas/${id}` };
  }

  private add(name: string, definition: JsonSchema): void {
    const { id, $id, ...rest } = definition;
    void [id, $id];
    this.schemas[name] ??= relocated(rest) as JsonSchema;
  }
}

/** References into `$defs` point to the components instead. */
const relocated = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(relocated);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      name === '$ref' && typeof item === 'string' ? item.replace('#/$defs/', '#/components/schemas/') : relocated(item),
    ]),
  );
};
