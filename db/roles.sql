-- The roles of BaseLedger. Roles belong to the server, not to a database, so this file stands
-- outside the migrations; it is idempotent and is run before them, by the user who installs.
--
-- None of them can log in: grant them to the login roles of your services, e.g.
--   grant baseledger_agent to my_service;
--
-- baseledger_owner     owns every object; the functions run with its rights
-- baseledger_agent     reserve, settle, cancel, extend, charge, post, balance
-- baseledger_operator  all of that, and open, credit, withdraw, refund, transfer, freeze, ...
-- baseledger_auditor   reads every view, statement, balance_at, verify; changes nothing
-- baseledger_worker    the sweep of due reservations
--
-- Whoever has one of them has it in every database of the server that has a ledger. To keep two
-- ledgers of one server apart, say who may connect to each, in each database:
--   revoke connect on database ledger_a from public;
--   grant connect on database ledger_a to team_a_service, team_a_operator;

-- What the installing user may do is looked at first, before anything is made: the errors that
-- PostgreSQL would raise midway do not say which right cures them.
do $installer$
declare
  v_owner oid := to_regrole('baseledger_owner');
  v_modern boolean := current_setting('server_version_num')::int >= 160000;
  v_creator boolean;
  v_grantors text;
  v_stranger text;
begin
  select r.rolsuper or r.rolcreaterole into v_creator
    from pg_roles r
    where r.rolname = current_user;

  if not v_creator and exists (
    select from unnest(array[
      'baseledger_owner', 'baseledger_agent', 'baseledger_operator',
      'baseledger_auditor', 'baseledger_worker'
    ]) as n (name)
    where to_regrole(n.name) is null
  ) then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format(
        'permission denied: %I may not create the roles of BaseLedger', current_user
      ),
      hint = format(
        'Let a superuser run: alter role %I createrole. Or let one who may create roles install.',
        current_user
      );
  end if;

  -- Since 16, CREATEROLE grants those roles only that one has made oneself; and whoever has made a
  -- role may grant it, but is no member that may act as it.
  if v_owner is not null
    and not pg_has_role(v_owner, case when v_modern then 'set' else 'member' end)
    and not pg_has_role(v_owner, 'member with admin option')
    and (v_modern or not v_creator)
  then
    select string_agg(g.name, ', ' order by g.name) into v_grantors
      from (
        select distinct format('%I', pg_get_userbyid(m.member)) as name from pg_auth_members m
          where m.roleid = v_owner and m.admin_option
      ) as g;
    raise exception using
      errcode = 'insufficient_privilege',
      message = format(
        'permission denied: %I may not act as baseledger_owner, the role that owns BaseLedger',
        current_user
      ),
      hint = format(
        'Let a superuser%s run: grant baseledger_owner to %I;',
        coalesce(', or ' || v_grantors || ',', ''), current_user
      );
  end if;

  -- install.sql gives what is installed to the owner, if it belongs to somebody else.
  select format('%I', pg_get_userbyid(o.owner)) into v_stranger
    from (
      select n.nspowner as owner from pg_namespace n where n.nspname = 'baseledger'
      union
      select c.relowner from pg_class c where c.relnamespace = to_regnamespace('baseledger')
      union
      select p.proowner from pg_proc p where p.pronamespace = to_regnamespace('baseledger')
      union
      select t.typowner from pg_type t where t.typnamespace = to_regnamespace('baseledger')
    ) as o
    where o.owner is distinct from v_owner
      and not pg_has_role(o.owner, 'usage')
      and exists (
        select from pg_class c
          where c.relnamespace = to_regnamespace('baseledger') and c.relname = 'migrations'
      )
    limit 1;
  if v_stranger is not null then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format(
        'permission denied: BaseLedger belongs to %s here and not to baseledger_owner, as after a '
          'restore without owners; %I may not change that',
        v_stranger, current_user
      ),
      hint = format('Migrate it as a superuser, or as %s.', v_stranger);
  end if;
end
$installer$;

do $roles$
declare
  v_role text;
begin
  foreach v_role in array array[
    'baseledger_owner', 'baseledger_agent', 'baseledger_operator',
    'baseledger_auditor', 'baseledger_worker'
  ] loop
    -- Looked for first: one who may not create roles can install where they are there already.
    continue when exists (select from pg_roles where rolname = v_role);
    begin
      execute format('create role %I nologin', v_role);
    exception
      -- unique_violation: two installations at once, in two databases of one server
      when duplicate_object or unique_violation then
        null;
    end;
  end loop;

  -- Whoever installs acts as the owner from here on.
  if not pg_has_role(
    current_user, 'baseledger_owner',
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
  ) then
    execute format('grant baseledger_owner to %I', current_user);
  end if;
end
$roles$;
