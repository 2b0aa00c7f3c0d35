// The database of one context: tables that outlive every process, and the few questions that the product asks of them.
//
//   B1. A batch of a projection stands with its checkpoint or not at all.
//   B2. A question that is not known here is a fault: an answer is never made up.

import type { Database, Projection, Row, Store } from '@nexusmon/projections';
import type { Machine } from './machine.js';

type Rows = Map<string, Row>;
type Answer = (parameters: readonly unknown[], words: readonly string[]) => readonly Row[];

const keyOf = (values: readonly unknown[]) => JSON.stringify(values);
const text = (value: unknown) => (typeof value === 'string' ? value : '');

export class Tables {
  private readonly checkpoints = new Map<string, number>();
  private waiting: (() => void)[] = [];
  private readonly tables = new Map<string, Rows>();

  constructor(private readonly machine: Machine) {}

  /** How far a projection or reactor of this context has come. */
  reached(name: string): number {
    return this.checkpoints.get(name) ?? 0;
  }

  async reaches(name: string, sequence: number): Promise<void> {
    while (this.reached(name) < sequence) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** Never backwards. */
  raise(name: string, sequence: number): void {
    if (sequence <= this.reached(name)) return;
    this.checkpoints.set(name, sequence);
    for (const wake of this.waiting.splice(0)) wake();
  }

  rows(table: string): readonly Row[] {
    return [...(this.tables.get(table)?.values() ?? [])];
  }

  /** Folds a batch into copies of the tables; they stand when the returned function is called (B1). */
  async fold(projection: Projection, batch: Parameters<Projection['on']>[0], end: number): Promise<() => void> {
    const copies = new Map(projection.tables.map(({ name }) => [name, new Map(this.tables.get(name) ?? [])]));
    const keys = new Map(projection.tables.map(({ name, key }) => [name, key]));
    const table = (name: string) => {
      const [rows, key] = [copies.get(name), keys.get(name)];
      if (!rows || !key) throw new Error(`${projection.name} has no table ${name}`);
      return {
        get: (...values: readonly unknown[]) => Promise.resolve(rows.get(keyOf(values))),
        load: () => Promise.resolve(),
        put: (row: Row) => void rows.set(keyOf(key.map((column) => row[column])), row),
        remove: (...values: readonly unknown[]) => void rows.delete(keyOf(values)),
      };
    };
    await projection.on(batch, { table } as unknown as Store);
    return () => {
      for (const [name, rows] of copies) this.tables.set(name, rows);
      this.raise(projection.name, end);
    };
  }

  /** What a process has of it. */
  get database(): Database {
    const query = async (sql: string, parameters: readonly unknown[] = []) => {
      const question = QUESTIONS.find(({ words }) => words.test(sql));
      const [, ...words] = question?.words.exec(sql) ?? [];
      if (!question) throw new Error(`nobody here can answer ${sql}`);
      const [, table = ''] = / from ([a-z_.]+)/.exec(sql) ?? [];
      const rows = question.answer(this.rows(table))(parameters, words);
      // Of all the looks at what may be due, those that find nothing change nothing.
      if (rows.length > 0) await this.machine.step(`asks ${table}`);
      return { rows };
    };
    return { query } as unknown as Database;
  }
}

const QUESTIONS: readonly { words: RegExp; answer: (rows: readonly Row[]) => Answer }[] = [
  {
    words: /^select mission_id from \S+ where active and mission_id > \$1 and updated_at <= \$2\s+order by/,
    answer: (rows) => (after) =>
      rows
        .filter((row) => row['active'] === true && text(row['mission_id']) > text(after[0]))
        .filter((row) => text(row['updated_at']) <= text(after[1]))
        .toSorted((one, other) => (text(one['mission_id']) < text(other['mission_id']) ? -1 : 1)),
  },
  {
    words:
      /^select (\w+) as id, next_due_at as due_at from \S+\s+where next_due_at <= \$1 and not \(\w+ = any\(\$2\)\)/,
    answer:
      (rows) =>
      ([now, paused], [id_column = '']) =>
        rows.flatMap((row) => {
          const [due_at, id] = [row['next_due_at'], row[id_column]];
          const due = typeof due_at === 'string' && due_at <= text(now) && !(paused as readonly unknown[]).includes(id);
          return due ? [{ id, due_at }] : [];
        }),
  },
  {
    words: /^select approval_id from \S+ where mission_id = \$1 and status in \('pending', 'cooling_off'\)/,
    answer:
      (rows) =>
      ([mission_id]) =>
        rows.filter((row) => row['mission_id'] === mission_id && /^(pending|cooling_off)$/.test(text(row['status']))),
  },
  {
    words: /^select \* from \S+ where revision > \$1 order by revision/,
    answer:
      (rows) =>
      ([revision]) =>
        rows
          .filter((row) => Number(row['revision']) > Number(revision))
          .toSorted((one, other) => Number(one['revision']) - Number(other['revision'])),
  },
];
