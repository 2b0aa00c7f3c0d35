// What the command line reads of the environment. Apart from the settings of the processes: it must work beside a
// setting of theirs that is not valid.

import { z } from 'zod';
import type { Setting } from './settings.js';

const optional = z.string().optional();

export const COMMAND_LINE_SETTINGS = {
  NEXUSMON_DATA: {
    says: 'The data folder whose stack is asked; default: the nearest `.nexusmon`, from here upwards.',
    unit: 'path',
    schema: optional,
  },
  NEXUSMON_TOKEN: {
    says: 'The credential for `--url`: an API token, or a session token.',
    unit: 'text',
    schema: optional,
    secret: true,
  },
  OPERATOR_KEY: {
    says: 'The operator key, where it is not in the data folder.',
    unit: 'text',
    schema: optional,
    secret: true,
  },
  NO_COLOR: { says: 'Any value: no colours.', unit: 'text', schema: optional },
} satisfies Record<string, Setting<typeof optional>>;

export type CommandLineEnvironment = Readonly<{
  data_dir: string | undefined;
  token: string | undefined;
  operator_key: string | undefined;
  no_color: boolean;
}>;

/** The environment for a child: what is named is overruled by nothing, in a file of settings, too. */
export const environmentWithout = (
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> => ({ ...env, ...Object.fromEntries(names.map((name) => [name, ''])) });

/** An empty variable counts as one that is not set. */
export const readCommandLine = (
  env: Readonly<Record<string, string | undefined>> = process.env,
): CommandLineEnvironment => {
  const of = (name: keyof typeof COMMAND_LINE_SETTINGS): string | undefined => env[name] || undefined;
  return {
    data_dir: of('NEXUSMON_DATA'),
    token: of('NEXUSMON_TOKEN'),
    operator_key: of('OPERATOR_KEY')?.trim(),
    no_color: of('NO_COLOR') !== undefined,
  };
};
