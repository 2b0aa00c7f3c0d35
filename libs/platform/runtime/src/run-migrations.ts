// What a migration job calls: brings every schema up to date and ends.

import { ConfigInvalid, readConfig } from '@nexusmon/config';
import { migrate, type NamedMigration } from '@nexusmon/projections';
import { createLogger } from '@nexusmon/telemetry';

/** `by_schema` holds each schema's migrations, oldest first. Runs as the role of `DATABASE_ADMIN_URL`. */
export const runMigrations = async (by_schema: Readonly<Record<string, readonly NamedMigration[]>>): Promise<void> => {
  const config = readConfig();
  const { admin_url } = config.database;
  if (admin_url === undefined) throw new ConfigInvalid('DATABASE_ADMIN_URL is needed to migrate');
  const log = createLogger({ name: 'migrate', level: config.log_level });
  for (const [schema, migrations] of Object.entries(by_schema)) {
    const done = await migrate(admin_url, schema, schema, migrations);
    log.info({ msg: 'schema is up to date', schema, migrated: done });
  }
  log.flush();
};
