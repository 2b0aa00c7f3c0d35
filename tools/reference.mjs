// Writes the pages of docs/reference from the sources that they describe: `node tools/reference.mjs`.
//
//   R1. A page holds nothing that its source does not say; tools/reference.spec.ts fails when one is stale.

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'prettier';

const ROOT = join(import.meta.dirname, '..');
const SETTINGS = 'libs/platform/config/src/settings.ts';
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

/** Every page by its path, as it should be. */
export const referencePages = async () => {
  const { settingsReference } = await import(pathToFileURL(join(ROOT, SETTINGS)).href);
  const sources = globSync('libs/*/**/src/**/*.ts', { cwd: ROOT, exclude: ['**/dist/**', '**/node_modules/**'] });
  const metrics = sources
    .filter((path) => !path.endsWith('.spec.ts'))
    .flatMap((path) => metricsIn(readFileSync(join(ROOT, path), 'utf8')))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const formatted = (text) => format(text, { parser: 'markdown', printWidth: 120 });
  return {
    'docs/reference/configuration.md': await formatted(configurationPage(settingsReference())),
    'docs/reference/metrics.md': await formatted(metricsPage(metrics)),
  };
};

if (process.argv[1] === import.meta.filename)
  for (const [path, text] of Object.entries(await referencePages())) writeFileSync(join(ROOT, path), text);
