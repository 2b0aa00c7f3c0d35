// References in a task's input: `{"$output": "<task_id>", "pointer": "/a/b"}` stands for (a part of) an earlier output.
//
//   R1. What is put in place of a reference is data: references inside an output are never followed.
//   R2. A reference that leads nowhere, or too deep, makes the input unresolvable; nothing is guessed.

import type { Json } from '@nexusmon/kernel';
import { DEPTH_MAX } from '@nexusmon/shared-contract';

export type Reference = Readonly<{ task_id: string; pointer: string; path: string }>;
export type MalformedReference = Readonly<{ malformed: true; path: string; message: string }>;
export type ResolvedInput =
  | Readonly<{ kind: 'resolved'; input: Json; derived: boolean }>
  | Readonly<{ kind: 'unresolvable'; path: string; message: string }>;

/** JSON pointers as RFC 6901 has them. */
const POINTER = /^(\/([^~/]|~[01])*)*$/;
const INDEX = /^(0|[1-9][0-9]*)$/;

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isReference = (value: Json): value is { [key: string]: Json } =>
  isObject(value) && Object.hasOwn(value, '$output');

const readReference = (value: { [key: string]: Json }, path: string): Reference | MalformedReference => {
  const { $output: task_id, pointer = '', ...rest } = value;
  const malformed = (message: string): MalformedReference => ({ malformed: true, path, message });
  if (typeof task_id !== 'string') return malformed('$output must be the task_id of an earlier task');
  if (typeof pointer !== 'string' || !POINTER.test(pointer))
    return malformed('pointer must be a JSON pointer (RFC 6901)');
  const [extra] = Object.keys(rest);
  return extra === undefined
    ? { task_id, pointer, path }
    : malformed(`a reference has no field ${JSON.stringify(extra)}`);
};

const childPath = (path: string, key: string | number) =>
  `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** Every reference in an input, with the path at which it stands. */
export const references = (input: Json, path = ''): readonly (Reference | MalformedReference)[] => {
  if (isReference(input)) return [readReference(input, path)];
  if (Array.isArray(input)) return input.flatMap((item, index) => references(item, childPath(path, index)));
  if (!isObject(input)) return [];
  return Object.entries(input).flatMap(([key, value]) => references(value, childPath(path, key)));
};

/** Whether anything of the input comes from earlier outputs. */
export const refersToOutputs = (input: Json): boolean => references(input).length > 0;

type Found = Readonly<{ value: Json }>;

const follow = (output: Json, pointer: string): Found | undefined => {
  let value: Json = output;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    let next: Json | undefined;
    if (Array.isArray(value)) next = INDEX.test(key) ? value[Number(key)] : undefined;
    else if (isObject(value) && Object.hasOwn(value, key)) next = value[key];
    if (next === undefined) return undefined;
    value = next;
  }
  return { value };
};

const depthOf = (value: Json): number => {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Object.values(value).reduce<number>((deepest, item) => Math.max(deepest, depthOf(item)), 0);
};

/** The input as a worker gets it, with every reference replaced from `outputs` (by task_id). */
export const resolveInput = (task: Readonly<{ input: Json }>, outputs: ReadonlyMap<string, Json>): ResolvedInput => {
  const all = references(task.input);
  const values = new Map<string, Json>();
  for (const reference of all) {
    const { path } = reference;
    if ('malformed' in reference) return { kind: 'unresolvable', path, message: reference.message };
    const { task_id, pointer } = reference;
    const output = outputs.get(task_id);
    if (output === undefined) return { kind: 'unresolvable', path, message: `task ${task_id} has no output` };
    const found = follow(output, pointer);
    if (!found) return { kind: 'unresolvable', path, message: `the output of ${task_id} has nothing at ${pointer}` };
    values.set(path, found.value);
  }
  const input = values.size === 0 ? task.input : substitute(task.input, '', values);
  if (depthOf(input) > DEPTH_MAX) return { kind: 'unresolvable', path: '', message: `deeper than ${DEPTH_MAX}` };
  return { kind: 'resolved', input, derived: all.length > 0 };
};

const substitute = (input: Json, path: string, values: ReadonlyMap<string, Json>): Json => {
  const value = values.get(path);
  if (value !== undefined) return value;
  if (Array.isArray(input)) return input.map((item, index) => substitute(item, childPath(path, index), values));
  if (!isObject(input)) return input;
  return Object.fromEntries(
    Object.entries(input).map(([key, item]) => [key, substitute(item, childPath(path, key), values)]),
  );
};
