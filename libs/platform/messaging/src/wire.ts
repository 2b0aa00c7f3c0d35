/**
 * A value as the other end of a wire would read it: what JSON keeps of it, and no part shared with the original. Within
 * a process this takes the place of writing text and reading it again, at a fraction of the price.
 */
export const overWire = (value: unknown): unknown => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      // JSON knows no negative zero.
      return Number.isFinite(value) ? value + 0 : null;
    case 'object':
      if (value === null) return null;
      return Array.isArray(value) ? items(value) : isPlain(value) ? fields(value) : roundTrip(value);
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      return roundTrip(value);
  }
};

/** Whatever else there may be is for JSON itself to say. */
const roundTrip = (value: unknown): unknown => {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? undefined : JSON.parse(text);
};

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value);
};

const items = (values: readonly unknown[]): unknown[] => {
  const copy: unknown[] = [];
  // By index: a hole reads as null, like all that JSON does not know.
  for (let index = 0; index < values.length; index += 1) copy.push(overWire(values[index]) ?? null);
  return copy;
};

const fields = (value: object): unknown => {
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    // Assigned, it would not become a field.
    if (name === '__proto__') return roundTrip(value);
    const field = overWire((value as Record<string, unknown>)[name]);
    if (field !== undefined) copy[name] = field;
  }
  return copy;
};
