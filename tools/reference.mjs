// Writes the pages of docs/reference from the sources that they describe: `node tools/reference.mjs`.
//
//   R1. A page holds nothing that its source does not say; tools/reference.spec.ts fails when one is stale.

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'prettier';

const ROOT = join(import.meta.dirname, '..');
const SETTINGS = 'libs/platform/config/src/settings.ts';
const COMMAND_LINE = 'libs/platform/config/src/command-line.ts';
const PROGRAM = 'apps/cli/src/program.ts';
const EXIT_CODES = 'apps/cli/src/exit-codes.ts';
const METRIC =
  /(?:(counter|histogram|gauge)\(\s*|\[\s*)'(nexusmon_[a-z_]+)',\s*(?:\{\s*(?:unit: '[^']*',\s*)?says: )?'([^']+)'/g;

/** Read by the start alone: it hands none of them to a service. */
const START_SETTINGS = [
  ['NEXUS_MASTER_SECRET', 'The master secret, at least 16 characters; default: made in `<data folder>/master.secret`.'],
  ['NATS_URL', 'A NATS server elsewhere; user and password in the URL are used for every context.'],
  ['NATS_MONITOR_URL', 'Its monitor port. Without it the log of a server elsewhere stays read-only.'],
  ['DATABASE_URL', 'A PostgreSQL server elsewhere, with a user that may make roles, schemas and the database.'],
  ['S3_ENDPOINT', 'An S3 store elsewhere; `S3_ACCESS_KEY` and `S3_SECRET_KEY` are needed with it.'],
  ['S3_ACCESS_KEY', 'Its access key.'],
  ['S3_SECRET_KEY', 'Its secret key.'],
  [
    'NEXUSMON_CACHE',
    'Where nats-server and MinIO are kept once built; default: `nexusmon` in `$XDG_CACHE_HOME` or `~/.cache`.',
  ],
];

const row = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
/** A name in pointed brackets would be taken for a tag. */
const plain = (text) => text.replaceAll('<', '\\<');
const table = (heads, rows) => [row(heads), row(heads.map(() => '---')), ...rows.map(row)].join('\n');
const code = (text) => (text === '' ? '' : `\`${text}\``);

const configurationPage = (settings) => `# Configuration

Made from \`${SETTINGS}\` by \`node tools/reference.mjs\`.

Settings come from the environment, and from \`.env\` in the clone for what the environment does not name; an option of \`npm start\` counts more than either. Each is read once, at start. An empty value counts as none. A value that is not valid stops the process with the name of the setting.

## Read by every process

\`npm start\` gives its services the addresses, folders and ports (\`OPS_PORT\`, \`NEXUSMON_SECRETS\`, \`OPERATOR_KEY_FILE\`, \`NATS_URL\`, \`DATABASE_URL\`, \`S3_ENDPOINT\` and so on). These need setting only where a service is started by itself.

${table(
  ['name', 'unit', 'default', 'meaning'],
  settings.map(({ name, unit, default: fallback, secret, says }) => [
    code(name),
    unit,
    code(fallback),
    plain(secret ? `${says} Secret.` : says),
  ]),
)}

## Read by \`npm start\`

${table(
  ['name', 'meaning'],
  START_SETTINGS.map(([name, says]) => [code(name), says]),
)}
`;

const metricsIn = (source) =>
  [...source.matchAll(METRIC)].map(([, kind = 'gauge', name, says]) => ({
    name: kind === 'counter' ? `${name}_total` : name,
    kind,
    says,
  }));

const metricsPage = (metrics) => `# Metrics

Made from the sources by \`node tools/reference.mjs\`.

\`GET /metrics\` on the operations port of each process (\`ops_urls\` in \`run.json\`), in the form that Prometheus reads. A process has those of the contexts it runs. A counter or histogram appears with its first value.

${table(
  ['name', 'kind', 'meaning'],
  metrics.map(({ name, kind, says }) => [code(name), kind, says]),
)}
`;

const usageOf = (command, path) =>
  [
    path,
    ...(command.commands.length > 0 ? ['<command>'] : []),
    ...command.registeredArguments.map((argument) => {
      const text = argument.variadic ? `${argument.name()}...` : argument.name();
      return argument.required ? `<${text}>` : `[${text}]`;
    }),
    ...(command.options.length > 0 ? ['[options]'] : []),
  ].join(' ');

const meaningOf = ({ description, argChoices, defaultValue, defaultValueDescription, mandatory }) => {
  const choices = argChoices ? `: ${argChoices.map((choice) => code(choice)).join(', ')}` : '';
  const fallback = defaultValue === undefined ? '' : ` (${defaultValueDescription ?? defaultValue})`;
  return `${description}${choices}${fallback}${mandatory ? '; required' : ''}`;
};

const optionTable = (options) =>
  table(
    ['option', 'meaning'],
    options.map((option) => [code(option.flags), plain(meaningOf(option))]),
  );

/** Every command that does something, with the words that lead to it. */
const leavesOf = (command, path) =>
  command.commands.length === 0
    ? [{ command, path }]
    : command.commands.flatMap((one) => leavesOf(one, `${path} ${one.name()}`));

const commandPart = ({ command, path }) =>
  [
    `## ${path}`,
    plain(command.description() || `${command.summary()}.`.replace(/^./, (letter) => letter.toUpperCase())),
    `\`\`\`console\n${usageOf(command, `nexusmon ${path}`)}\n\`\`\``,
    ...(command.options.length > 0 ? [optionTable(command.options)] : []),
  ].join('\n\n');

const commandLinePage = (program, settings, meanings) => `# Command line

Made from \`${PROGRAM}\` by \`node tools/reference.mjs\`.

\`npx nexusmon\` in the clone. It asks the stack of \`--data-dir\` or \`NEXUSMON_DATA\`, else that of the nearest \`.nexusmon\` from the working folder upwards, or a gateway elsewhere by \`--url\`. On a data folder it logs in with the operator key of that folder and keeps its session in \`cli/\` there. With \`--url\` the credential is \`NEXUSMON_TOKEN\`, or the operator key from \`OPERATOR_KEY\`, standard input or a prompt; that session ends with the command.

Standard output is data, and everything else stands on the other stream. The operator key is sent with \`approve\` and \`run\` only when the gateway asks for it. What one command has written the next one reads.

## Everywhere

${optionTable(program.options)}

${table(
  ['environment', 'meaning'],
  Object.entries(settings).map(([name, { says, secret }]) => [code(name), plain(secret ? `${says} Secret.` : says)]),
)}

${leavesOf(program, '')
  .map(({ command, path }) => commandPart({ command, path: path.trim() }))
  .join('\n\n')}

## Exit codes

${table(
  ['code', 'meaning'],
  meanings.map(([number, meaning]) => [number, meaning]),
)}
`;

const imported = (path) => import(pathToFileURL(join(ROOT, path)).href);

/** Every page by its path, as it should be. */
export const referencePages = async () => {
  const { settingsReference } = await imported(SETTINGS);
  const { COMMAND_LINE_SETTINGS } = await imported(COMMAND_LINE);
  const { makeProgram } = await imported(PROGRAM);
  const { EXIT_MEANINGS } = await imported(EXIT_CODES);
  const sources = globSync('libs/*/**/src/**/*.ts', { cwd: ROOT, exclude: ['**/dist/**', '**/node_modules/**'] });
  const metrics = sources
    .filter((path) => !path.endsWith('.spec.ts'))
    .flatMap((path) => metricsIn(readFileSync(join(ROOT, path), 'utf8')))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const formatted = (text) => format(text, { parser: 'markdown', printWidth: 120 });
  return {
    'docs/reference/cli.md': await formatted(
      commandLinePage(makeProgram({}, ''), COMMAND_LINE_SETTINGS, EXIT_MEANINGS),
    ),
    'docs/reference/configuration.md': await formatted(configurationPage(settingsReference())),
    'docs/reference/metrics.md': await formatted(metricsPage(metrics)),
  };
};

if (process.argv[1] === import.meta.filename)
  for (const [path, text] of Object.entries(await referencePages())) writeFileSync(join(ROOT, path), text);
