// Sealed fields: text that may be personal or secret, encrypted in the log under a key that can be destroyed.

import { z } from 'zod';

/** Marks a field whose value the log holds only as ciphertext. Put it outermost, so that the mark is found. */
export const sealed = <Schema extends z.ZodType>(schema: Schema): Schema => {
  // The sealed copy is another schema: under the same id the two could not stand in one JSON Schema.
  const { id: _id, ...meta } = schema.meta() ?? {};
  return schema.meta({ ...meta, sealed: true });
};

export type SealTree =
  'sealed' | { fields: Readonly<Record<string, SealTree>> } | { items: SealTree } | { values: SealTree };

const inner = (schema: z.ZodType): z.ZodType | undefined => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return schema.unwrap() as z.ZodType;
  return undefined;
};

/** Where the sealed fields of a schema are; undefined when it has none. Computed once per event type. */
export const sealTree = (schema: z.ZodType): SealTree | undefined => {
  if (schema.meta()?.['sealed'] === true) return 'sealed';
  const unwrapped = inner(schema);
  if (unwrapped) return sealTree(unwrapped);
  if (schema instanceof z.ZodArray) {
    const items = sealTree(schema.element as z.ZodType);
    return items && { items };
  }
  if (schema instanceof z.ZodRecord) {
    const values = sealTree(schema.valueType as z.ZodType);
    return values && { values };
  }
  if (schema instanceof z.ZodObject) {
    const fields = Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
      const tree = sealTree(field);
      return tree ? [[name, tree] as const] : [];
    });
    return fields.length > 0 ? { fields: Object.fromEntries(fields) } : undefined;
  }
  return undefined;
};
