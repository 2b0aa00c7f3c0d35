// What was asked for: options first, then the environment, then `.env`, then the defaults.

import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { StartFault } from './fault.mjs';

const USAGE_EXIT_CODE = 2;

export const USAGE = `npm start -- [options]

  --port <n>         the gateway's port (8000; 0 = a free one)
  --host <address>   the gateway's address (127.0.0.1); everything else stays on loopback
  --data-dir <path>  where everything is kept (.nexusmon)
  --separate         every service in a process of its own
  --json             progress as JSON lines
  --help             this text`;

const WITH_VALUE = ['--port', '--host', '--data-dir'];
const WITHOUT_VALUE = ['--separate', '--json', '--help'];

const refuse = (message) => {
  throw new StartFault(`${message}\n\n${USAGE}`, { exit_code: USAGE_EXIT_CODE });
};

const readOptions = (argv) => {
  const options = {};
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [name, ...inline] = word.split('=');
    if (WITHOUT_VALUE.includes(name) && inline.length === 0) options[name] = true;
    else if (WITH_VALUE.includes(name)) {
      const value = inline.length > 0 ? inline.join('=') : rest.shift();
      if (value === undefined || value === '' || value.startsWith('--')) refuse(`${name} needs a value`);
      options[name] = value;
    } else refuse(`unknown option ${word}`);
  }
  return options;
};

const portOf = (text, where) => {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) refuse(`${where} must be a number from 0 to 65535, not ${text}`);
  return port;
};

/** `folders`: where the start was typed, and where this process runs. npm changes to the clone in between. */
export const parseArguments = (argv, environment, folders) => {
  const options = readOptions(argv);
  const given = options['--data-dir'] ?? environment.NEXUSMON_DATA;
  const folder = given ? folders.typed : folders.working;
  const path = given || '.nexusmon';
  return {
    help: options['--help'] === true,
    port:
      options['--port'] === undefined
        ? portOf(environment.PORT || '8000', 'PORT')
        : portOf(options['--port'], '--port'),
    host: options['--host'] ?? (environment.HOST || '127.0.0.1'),
    data_dir: isAbsolute(path) ? join(path) : join(folder, path),
    separate: options['--separate'] === true,
    json: options['--json'] === true,
  };
};

const LINE = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/;
const QUOTED = /^(["'])(.*)\1\s*(?:#.*)?$/;

/** `NAME=value` lines; quotes are taken off, `#` begins a comment at the start of a line or after a space. */
export const parseEnvironmentFile = (text) => {
  const found = {};
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw] = LINE.exec(line) ?? [];
    if (name === undefined || line.trimStart().startsWith('#')) continue;
    const quoted = QUOTED.exec(raw);
    found[name] = quoted ? quoted[2] : raw.replace(/(^|\s)#.*$/, '').trimEnd();
  }
  return found;
};

/** What stands in `.env`, overruled by what was given. */
export const readEnvironment = (root) => {
  const path = join(root, '.env');
  const given = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== undefined));
  return existsSync(path) ? { ...parseEnvironmentFile(readFileSync(path, 'utf8')), ...given } : given;
};
