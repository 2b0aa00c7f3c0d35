import { readFileSync } from 'node:fs';

export const { version: VERSION } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** What a session is bound to. */
export const USER_AGENT = `nexusmon-cli/${VERSION}`;
