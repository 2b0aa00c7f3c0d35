// Shadow tables: where a projection is built again beside the one in force.
//
// A context's role may make no tables, so `admin` leaves functions behind that make, index, swap and drop copies of
// that context's own derived tables, and can do nothing else. They act with the rights of their owner.
//
//   H1. Nothing but a derived table of the function's own schema is touched.
//   H2. A shadow has the columns, keys, indexes, statistics and storage of the table in force, under the same names:
//       what a later migration says holds for either.
//   H3. A swap moves every table of a projection in the transaction of whoever calls it.

const SCHEMA = /^[a-z]+$/;

export const shadowSchema = (schema: string): string => `${schema}_shadow`;
/** Where a table goes that turned out to hold something else than its log. */
export const oldSchema = (schema: string): string => `${schema}_old`;

/** Not derived by a projection. */
const KEPT = ['checkpoint', 'rebuild', 'rebuild_past', 'migration'].map((name) => `'${name}'`).join(', ');

/** `one` is the loop's table in every function. */
const forEach = (schema: string, name: string, body: string): string => `
create or replace function ${schema}.${name}(names text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
declare one text; found record; options text;
begin
  foreach one in array names loop
    if one !~ '^[a-z_]+$' or one = any(array[${KEPT}]) or to_regclass(format('${schema}.%I', one)) is null then
      raise exception '% is not a derived table of ${schema}', one;
    end if;${body}
  end loop;
end $function$;`;

const begin = (live: string, shadow: string, old: string): string => `
    execute format('drop table if exists ${shadow}.%1$I, ${old}.%1$I', one);
    execute format('create table ${shadow}.%1$I (like ${live}.%1$I including all excluding indexes excluding statistics)', one);
    select array_to_string(reloptions, ', ') into options
      from pg_class where oid = format('${live}.%I', one)::regclass;
    if options is not null then execute format('alter table ${shadow}.%I set (%s)', one, options); end if;
    for found in select conname, pg_get_constraintdef(oid) as definition from pg_constraint
      where conrelid = format('${live}.%I', one)::regclass and contype in ('p', 'u')
    loop
      execute format('alter table ${shadow}.%I add constraint %I %s', one, found.conname, found.definition);
    end loop;
    execute format('grant usage on schema ${shadow}, ${old} to %I', session_user);
    execute format('grant select, insert, update, delete on ${shadow}.%I to %I', one, session_user);`;

/** Unlike indexes they neither go with their table nor are called as they were when it is copied. */
const statisticsOf = (schema: string): string => `select stxname, pg_get_statisticsobjdef(oid) as definition
      from pg_statistic_ext
      where stxrelid = format('${schema}.%I', one)::regclass and stxnamespace = '${schema}'::regnamespace`;

const index = (live: string, shadow: string): string => `
    for found in select pg_get_indexdef(i.indexrelid) as definition from pg_index i
      where i.indrelid = format('${live}.%I', one)::regclass
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
    loop
      execute replace(found.definition, format(' ON ${live}.%I ', one), format(' ON ${shadow}.%I ', one));
    end loop;
    for found in ${statisticsOf(live)}
    loop
      execute replace(replace(found.definition,
        format('CREATE STATISTICS ${live}.%I ', found.stxname), format('CREATE STATISTICS ${shadow}.%I ', found.stxname)),
        format(' FROM ${live}.%I', one), format(' FROM ${shadow}.%I', one));
    end loop;
    execute format('analyze ${shadow}.%I', one);`;

const swap = (live: string, shadow: string, old: string): string => `
    for found in ${statisticsOf(live)}
    loop
      execute format('alter statistics ${live}.%I set schema ${old}', found.stxname);
    end loop;
    for found in ${statisticsOf(shadow)}
    loop
      execute format('alter statistics ${shadow}.%I set schema ${live}', found.stxname);
    end loop;
    execute format('alter table ${live}.%I set schema ${old}', one);
    execute format('alter table ${shadow}.%I set schema ${live}', one);`;

const drop = (shadow: string, old: string): string => `
    execute format('drop table if exists ${shadow}.%1$I, ${old}.%1$I', one);`;

/** May be run again; run for every schema after its own migrations. */
export const shadowDdl = (schema: string): string => {
  if (!SCHEMA.test(schema)) throw new TypeError(`${schema} is not the schema of a context`);
  const [shadow, old] = [shadowSchema(schema), oldSchema(schema)];
  return `
create schema if not exists ${shadow};
create schema if not exists ${old};
alter table ${schema}.checkpoint add column if not exists generation integer not null default 0;
create table if not exists ${schema}.rebuild (
  name text primary key,
  rebuild_id text not null,
  document jsonb not null,
  told_at timestamptz not null default now()
);
alter table ${schema}.rebuild add column if not exists run_id text not null default '';
create table if not exists ${schema}.rebuild_past (rebuild_id text primary key, name text not null, document jsonb not null);
${forEach(schema, 'shadow_begin', begin(schema, shadow, old))}
${forEach(schema, 'shadow_index', index(schema, shadow))}
${forEach(schema, 'shadow_swap', swap(schema, shadow, old))}
${forEach(schema, 'shadow_drop', drop(shadow, old))}`;
};
