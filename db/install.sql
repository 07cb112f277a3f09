-- The schema, and the record of the migrations that were applied to it. Run after roles.sql and
-- before the migrations, by the user who installs; idempotent. That user acts as baseledger_owner
-- from here on, so that every object belongs to that role.

do $schema$
declare
  v_owner text;
begin
  select pg_get_userbyid(nspowner) into v_owner from pg_namespace where nspname = 'baseledger';

  -- Not `if not exists`: that asks for CREATE on the database even if there is nothing to create.
  if v_owner is null then
    if not has_database_privilege(current_database(), 'create') then
      raise exception using
        errcode = 'insufficient_privilege',
        message = format(
          'permission denied: %I may not create a schema in this database', current_user
        ),
        hint = format(
          'Let a superuser, or the owner of the database, run: grant create on database %I to %I;',
          current_database(), current_user
        );
    end if;
    create schema baseledger authorization baseledger_owner;
  -- By the catalog: to look up a name takes USAGE on the schema.
  elsif v_owner <> 'baseledger_owner' and not exists (
    select from pg_class c
      where c.relnamespace = to_regnamespace('baseledger') and c.relname = 'migrations'
  ) then
    raise exception using
      errcode = 'duplicate_schema',
      message = 'there is a schema baseledger that is not ours',
      detail = format('It belongs to the role %I.', v_owner),
      hint = 'Install into another database, or, if it is empty, give it to baseledger_owner.';
  end if;
end
$schema$;

-- Whatever is in the schema belongs to the owner. It does not after a restore without owners: then
-- everything belongs to whoever has restored, and the functions run with the rights of that role.
-- The schema comes first, as the new owner of an object must be allowed to create it there.
do $owners$
declare
  v_owner constant oid := to_regrole('baseledger_owner');
  v_object record;
begin
  for v_object in
    select 1 as place, format('schema %I', n.nspname) as name, n.nspowner as owner
      from pg_namespace n
      where n.nspname = 'baseledger'
    union all
    select 2, format('table %s', c.oid::regclass), c.relowner
      from pg_class c
      where c.relnamespace = to_regnamespace('baseledger')
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 3, format('routine %s', p.oid::regprocedure), p.proowner
      from pg_proc p
      where p.pronamespace = to_regnamespace('baseledger')
    union all
    select 4, format('type %s', t.oid::regtype), t.typowner
      from pg_type t
      left join pg_class c on c.oid = t.typrelid
      where t.typnamespace = to_regnamespace('baseledger')
        and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
    order by 1, 2
  loop
    continue when v_object.owner = v_owner;
    execute format('alter %s owner to baseledger_owner', v_object.name);
  end loop;
end
$owners$;

do $migrations$
declare
  v_role text := current_setting('role');
begin
  set local role baseledger_owner;
  if to_regclass('baseledger.migrations') is null then
    create table baseledger.migrations (
      id integer primary key,
      name text not null,
      hash text not null,
      applied_at timestamptz not null default clock_timestamp()
    );
    comment on table baseledger.migrations is
      'The migrations of BaseLedger that were applied to this database.';
  end if;
  perform set_config('role', v_role, true);
end
$migrations$;
