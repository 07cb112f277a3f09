import type { Migration, Source } from "./migration-files.ts";

/** Waits for others that migrate this database; held until the end of the transaction. */
export const lock =
  "pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('baseledger.migrations', 0))";

/** Whether BaseLedger was ever installed; needs no privilege. */
export const isInstalled =
  "exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n " +
  "on n.oid = c.relnamespace where n.nspname = 'baseledger' and c.relname = 'migrations')";

const owner = "pg_catalog.to_regrole('baseledger_owner')::oid";
const place = "pg_catalog.to_regnamespace('baseledger')::oid";

/** Whether the user may act as the owner; false also when there is no such role yet. */
export const mayActAsOwner = `coalesce(pg_catalog.pg_has_role(${owner}, case
    when pg_catalog.current_setting('server_version_num')::int < 160000 then 'member' else 'set'
  end), false)`;

/**
 * Whether everything in the schema belongs to the owner. After a restore without owners, it belongs
 * to the user who restored.
 */
export const isOwned = `not exists (
    select from pg_catalog.pg_namespace
      where oid = ${place} and nspowner is distinct from ${owner}
    union all
    select from pg_catalog.pg_class
      where relnamespace = ${place} and relowner is distinct from ${owner}
    union all
    select from pg_catalog.pg_proc
      where pronamespace = ${place} and proowner is distinct from ${owner}
    union all
    select from pg_catalog.pg_type
      where typnamespace = ${place} and typowner is distinct from ${owner}
  )`;

/** For the rest of the transaction, names resolve the same, whatever the user has set up. */
export const plainNames = "set local search_path = pg_catalog, pg_temp;";

/** Migrations run as the owner, so that every object belongs to it. */
export const asOwner = "set local role baseledger_owner;";

/** Records that a migration was applied. */
export function record({ id, name, hash }: Migration): string {
  const values = `${id}, ${literal(name)}, ${literal(hash)}`;
  return `insert into baseledger.migrations (id, name, hash) values (${values});`;
}

/**
 * The installation as one statement. A block, because it is atomic wherever it runs, and can check
 * first; each text in it is executed separately, so that it may use what the one before created.
 */
export function installation({ roles, install, rights, migrations }: Source): string {
  const last = migrations.at(-1);
  const body = `
declare
  v_role text := current_setting('role');
  v_search_path text := current_setting('search_path');
  v_lock_timeout text := current_setting('lock_timeout');
  v_roles text := ${quoted("baseledger_roles", roles)};
  v_owned boolean;
  v_applied text[] := '{}';
begin
  perform ${lock};
  ${plainNames}
  if v_lock_timeout = '0' then
    set local lock_timeout = '2s';
  end if;
  v_owned := ${isOwned};
  if not v_owned or not ${mayActAsOwner} then
    execute v_roles;
  end if;
  if ${isInstalled} then
    if v_owned then
      ${asOwner}
    end if;
    v_applied := array(select hash from baseledger.migrations order by id);
    perform set_config('role', v_role, true);
  end if;

${migrations.map(check).join("")}  if cardinality(v_applied) > ${migrations.length} then
    raise exception 'the database has migrations of a newer BaseLedger than this script';
  end if;
  if cardinality(v_applied) < ${migrations.length} or not v_owned then
    execute v_roles;
    execute ${quoted("baseledger_install", install)};
    ${asOwner}
${migrations.map(step).join("")}    perform set_config('role', v_role, true);
  end if;
  execute ${quoted("baseledger_rights", rights)};

  perform set_config('role', v_role, true), set_config('search_path', v_search_path, true),
    set_config('lock_timeout', v_lock_timeout, true);
end
`;
  return `-- BaseLedger up to migration ${last?.name ?? "none"}, made by \`baseledger sql\`.
--
-- It installs the schema baseledger and the roles it needs, or brings them up to date. Run again,
-- it only repairs owners and rights that are not what they must be; it fails, and changes nothing,
-- when the database has other migrations of BaseLedger than the ones it knows. It is
-- a single statement: run it with psql or any driver, inside your migration tool's transaction or
-- outside. To install, the user must be a superuser, or have CREATEROLE and CREATE on the database;
-- where the roles exist already, a grant of baseledger_owner replaces CREATEROLE.
-- \`baseledger migrate\` can continue from here.
--
-- While it waits for a lock that a dump or a report holds, all commands of the ledger wait behind it.
-- So it waits at most 2 seconds for each lock, then fails with 55P03 and has changed nothing: run it
-- again when \`select pid, application_name, xact_start from pg_stat_activity\` shows no long
-- transaction. Your own lock_timeout, if set, is used instead. (It waits for other installations at
-- the same time as long as your lock_timeout allows.) \`baseledger migrate\` retries by itself, and
-- names what blocks it.
do ${quoted("baseledger", body)};
`;
}

function check({ id, name, hash }: Migration): string {
  return `  if v_applied[${id}] <> ${literal(hash)} then
    raise exception 'migration % was applied to this database with another text', ${literal(name)};
  end if;
`;
}

function step(migration: Migration): string {
  return `    if v_applied[${migration.id}] is null then
      execute ${quoted(`baseledger_${migration.id}`, migration.body)};
      ${record(migration)}
    end if;
`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Quotes a text with dollars, so that it stays readable. */
function quoted(name: string, text: string): string {
  let tag = `$${name}$`;
  while (text.includes(tag)) tag = `$${name}_${tag.length}$`;
  return `${tag}\n${text.trim()}\n${tag}`;
}
