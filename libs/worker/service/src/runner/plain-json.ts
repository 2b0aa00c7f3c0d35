// What a worker returned, as JSON or not at all.
//
//   J1. A value that JSON would keep as something else (a Date, a Map, a class instance, a function) is refused, with
//       its path, and never written as `{}`. Fields that are undefined do not exist.
//   J2. The walk ends after as many steps as the largest allowed output has bytes: a value that contains itself, or one
//       that would unfold into billions, costs no more than a large one.

import { DEPTH_MAX, isKeepable } from '@nexusmon/shared-contract';
import type { Json } from '@nexusmon/kernel';

export type PlainJson =
  | Readonly<{ kind: 'json'; value: Json; text: string }>
  | Readonly<{ kind: 'refused'; code: 'output_invalid' | 'output_too_large'; message: string }>;

class NotJson extends Error {
  constructor(
    readonly path: readonly string[],
    readonly why: string,
  ) {
    super(why);
  }
}
class TooLarge extends Error {}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

/** Copies while it checks, so that what is sent is what was looked at, whatever getters or proxies do. */
class Copier {
  private readonly path: string[] = [];
  private bytes = 0;

  constructor(private readonly bytes_max: number) {}

  copy(value: unknown): Json {
    switch (typeof value) {
      case 'string':
        return this.text(value, 'text');
      case 'number':
        this.count(1);
        if (!Number.isFinite(value)) throw this.refused('it is not a finite number');
        return value;
      case 'boolean':
        this.count(4);
        return value;
      case 'object':
        if (value === null) {
          this.count(4);
          return null;
        }
        if (this.path.length >= DEPTH_MAX) throw this.refused(`it is deeper than ${DEPTH_MAX}`);
        return Array.isArray(value) ? this.array(value) : this.fields(value);
      case 'undefined':
        throw this.refused('there is nothing');
      case 'function':
      case 'symbol':
      case 'bigint':
        throw this.refused(`it is a ${typeof value}`);
    }
  }

  /** By index, so that a hole counts as the nothing that it is. */
  private array(items: readonly unknown[]): Json[] {
    this.count(2);
    const copied: Json[] = [];
    for (let index = 0; index < items.length; index += 1) {
      this.count(1);
      copied.push(this.at(String(index), items[index]));
    }
    return copied;
  }

  private fields(value: object): Json {
    if (!isPlain(value)) throw this.refused('it is an object of a class');
    this.count(2);
    const copied: Record<string, Json> = {};
    for (const [name, field] of Object.entries(value) as [string, unknown][]) {
      if (field === undefined) continue;
      if (name === '__proto__') throw this.refused('no field may be named __proto__');
      this.text(name, 'the name of a field');
      this.count(1);
      copied[name] = this.at(name, field);
    }
    return copied;
  }

  private at(name: string, value: unknown): Json {
    this.path.push(name);
    const copied = this.copy(value);
    this.path.pop();
    return copied;
  }

  private text(value: string, what: string): string {
    this.count(value.length + 2);
    if (!isKeepable(value)) throw this.refused(`${what} holds U+0000 or a lone surrogate`);
    return value;
  }

  private refused(why: string): NotJson {
    return new NotJson([...this.path], why);
  }

  private count(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.bytes_max) throw new TooLarge();
  }
}

const tooLarge = (bytes_max: number): PlainJson => ({
  kind: 'refused',
  code: 'output_too_large',
  message: `the output has more than ${bytes_max} bytes; larger things are kept as artifacts`,
});

export const plainJson = (value: unknown, bytes_max: number): PlainJson => {
  try {
    const copied = new Copier(bytes_max).copy(value);
    const text = JSON.stringify(copied);
    return Buffer.byteLength(text) > bytes_max ? tooLarge(bytes_max) : { kind: 'json', value: copied, text };
  } catch (error) {
    if (error instanceof TooLarge) return tooLarge(bytes_max);
    if (!(error instanceof NotJson)) throw error;
    const where = error.path.length > 0 ? `the output at /${error.path.join('/')}` : 'the output';
    return { kind: 'refused', code: 'output_invalid', message: `${where} cannot be kept: ${error.why}` };
  }
};
