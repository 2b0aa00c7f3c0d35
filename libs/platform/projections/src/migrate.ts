// Migrations: run by `admin`, before any service starts, and never by a service.

import { Migration, Migrator } from '@mikro-orm/migrations';
import { MikroORM, type Options } from '@mikro-orm/postgresql';
import type { Pool } from './database.js';
import { shadowDdl } from './shadow-migration.js';

export { Migration };
export type MigrationClass = new (...parameters: ConstructorParameters<typeof Migration>) => Migration;
/** `name` is recorded in the database: it never changes once it has run anywhere. */
export type NamedMigration = Readonly<{ name: string; class: MigrationClass }>;

/** One at a time, whoever starts. Any number that nobody else uses. */
const LOCK = 5_917_203;

/** Brings a context's schema up to date. `admin_url` carries the credentials of a role that owns the schema. */
export const migrate = async (
  admin_url: string,
  context: string,
  schema: string,
  migrations: readonly NamedMigration[],
): Promise<readonly string[]> => {
  const orm = await MikroORM.init({
    clientUrl: admin_url,
    entities: [],
    discovery: { warnWhenNoEntities: false },
    debug: false,
    pool: { min: 0, max: 2 },
    driverOptions: { application_name: `nexusmon migrate ${context}` },
    extensions: [Migrator],
    migrations: {
      tableName: `${schema}.migration`,
      migrationsList: migrations.map(({ name, class: migration }) => ({ name, class: migration })),
      transactional: true,
      allOrNothing: true,
      snapshot: false,
      silent: true,
    },
  } as Options);
  const native: unknown = await orm.em.getDriver().getConnection().getNativeClient();
  const pool = native as Pool;
  const holder = await pool.connect();
  try {
    await holder.query('select pg_advisory_lock($1)', [LOCK]);
    const done = await orm.migrator.up();
    await holder.query(shadowDdl(schema));
    return done.map(({ name }) => name);
  } finally {
    await holder.query('select pg_advisory_unlock($1)', [LOCK]);
    holder.release();
    await orm.close(true);
  }
};
