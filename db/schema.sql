-- The schema, and the record of the migrations that were applied to it. Run after roles.sql and
-- before the migrations, by the user who installs; idempotent. That user acts as
-- baseledger_owner from here on, so that every object belongs to that role.

do $schema$
declare
  v_owner text;
  v_role text := current_setting('role');
  -- Since 16, whoever has created a role may grant it, but is no member that may act as it.
  v_right text := case when current_setting('server_version_num')::int < 160000
    then 'member' else 'set' end;
begin
  if not pg_has_role(current_user, 'baseledger_owner', v_right) then
    execute format('grant baseledger_owner to %I', current_user);
  end if;

  select pg_get_userbyid(nspowner) into v_owner from pg_namespace where nspname = 'baseledger';

  -- Not `if not exists`: that asks for CREATE on the database even if there is nothing to create.
  if v_owner is null then
    create schema baseledger authorization baseledger_owner;
  elsif v_owner <> 'baseledger_owner' then
    raise exception using
      errcode = 'duplicate_schema',
      message = 'there is a schema baseledger that is not ours',
      detail = format('It belongs to the role %I.', v_owner),
      hint = 'Install into another database, or, if it is empty, give it to baseledger_owner.';
  end if;

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
$schema$;
