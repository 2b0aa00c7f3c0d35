// The part of TOML that package manifests use: tables, arrays of tables, dotted keys, strings, arrays, inline tables.
// Numbers, booleans and dates are kept as their text: no manifest's dependencies or licence need them as values.

export type Toml = string | Toml[] | TomlTable;
export type TomlTable = Map<string, Toml>;

export class TomlProblem extends Error {
  override readonly name = 'TomlProblem';
}

const NESTING_MAX = 64;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
const BARE_VALUE = /[A-Za-z0-9_.:+-]+(?: \d[\d:.Z+-]*)?/y;

export const parseToml = (source: string): TomlTable => new TomlReader(source).document();

class TomlReader {
  private at = 0;

  constructor(private readonly source: string) {}

  document(): TomlTable {
    const root: TomlTable = new Map();
    let table = root;
    for (this.blank(true); this.at < this.source.length; this.blank(true)) {
      if (this.taken('[[')) {
        const path = this.key();
        this.expect(']]');
        table = appended(root, path);
      } else if (this.taken('[')) {
        const path = this.key();
        this.expect(']');
        table = opened(root, path);
      } else this.pair(table, 0);
      this.blank(false);
      if (this.at < this.source.length && !/[\r\n]/.test(this.source.charAt(this.at))) this.fail('the line goes on');
    }
    return root;
  }

  private pair(table: TomlTable, depth: number): void {
    const path = this.key();
    this.expect('=');
    const last = path.at(-1) ?? '';
    opened(table, path.slice(0, -1)).set(last, this.value(depth));
  }

  private key(): string[] {
    const path: string[] = [];
    do {
      this.blank(false);
      const quote = this.source.charAt(this.at);
      path.push(quote === '"' || quote === "'" ? this.text() : this.bare(BARE_KEY));
      this.blank(false);
    } while (this.taken('.'));
    return path;
  }

  private value(depth: number): Toml {
    if (depth > NESTING_MAX) this.fail('nested too deep');
    this.blank(false);
    const first = this.source.charAt(this.at);
    if (first === '"' || first === "'") return this.text();
    if (this.taken('[')) return this.list(depth);
    if (this.taken('{')) return this.inline(depth);
    return this.bare(BARE_VALUE);
  }

  private list(depth: number): Toml[] {
    const items: Toml[] = [];
    for (this.blank(true); !this.taken(']'); this.blank(true)) {
      items.push(this.value(depth + 1));
      this.blank(true);
      if (!this.taken(',') && this.source.charAt(this.at) !== ']') this.fail('a list needs a comma or its end');
    }
    return items;
  }

  private inline(depth: number): TomlTable {
    const table: TomlTable = new Map();
    for (this.blank(true); !this.taken('}'); this.blank(true)) {
      this.pair(table, depth + 1);
      this.blank(true);
      if (!this.taken(',') && this.source.charAt(this.at) !== '}') this.fail('a table needs a comma or its end');
    }
    return table;
  }

  private text(): string {
    for (const quote of ['"""', "'''", '"', "'"]) {
      if (!this.taken(quote)) continue;
      const from = this.at;
      const escapes = quote.startsWith('"');
      while (this.at < this.source.length && !this.source.startsWith(quote, this.at)) {
        if (quote.length === 1 && this.source.charAt(this.at) === '\n') this.fail('a text does not end');
        this.at += escapes && this.source.charAt(this.at) === '\\' ? 2 : 1;
      }
      const raw = this.source.slice(from, this.at);
      this.expect(quote);
      return escapes ? unescaped(raw) : raw;
    }
    return this.fail('a text was expected');
  }

  private bare(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source);
    if (!found) return this.fail('a name or value was expected');
    this.at += found[0].length;
    return found[0];
  }

  /** Passes over spaces and comments, and over line ends where `lines` says so. */
  private blank(lines: boolean): void {
    for (;;) {
      const character = this.source.charAt(this.at);
      if (character === ' ' || character === '\t' || (lines && (character === '\n' || character === '\r')))
        this.at += 1;
      else if (character === '#') {
        const end = this.source.indexOf('\n', this.at);
        this.at = end === -1 ? this.source.length : end;
      } else return;
    }
  }

  private taken(token: string): boolean {
    if (!this.source.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  private expect(token: string): void {
    this.blank(false);
    if (!this.taken(token)) this.fail(`${token} was expected`);
  }

  private fail(problem: string): never {
    const line = this.source.slice(0, this.at).split('\n').length;
    throw new TomlProblem(`line ${line}: ${problem}`);
  }
}

const opened = (root: TomlTable, path: readonly string[]): TomlTable => {
  let table = root;
  for (const name of path) {
    const held = table.get(name);
    const next = Array.isArray(held) ? held.at(-1) : held;
    if (next instanceof Map) table = next;
    else {
      const made: TomlTable = new Map();
      table.set(name, made);
      table = made;
    }
  }
  return table;
};

const appended = (root: TomlTable, path: readonly string[]): TomlTable => {
  const parent = opened(root, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  const held = parent.get(name);
  const made: TomlTable = new Map();
  if (Array.isArray(held)) held.push(made);
  else parent.set(name, [made]);
  return made;
};

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '"': '"', '\\': '\\' };

const unescaped = (raw: string) =>
  raw.replace(
    /\\(?:u([0-9a-fA-F]{4})|(\r?\n\s*)|([\s\S]))/g,
    (_whole, code?: string, fold?: string, plain?: string) => {
      if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
      return fold === undefined ? (ESCAPES[plain ?? ''] ?? plain ?? '') : '';
    },
  );
