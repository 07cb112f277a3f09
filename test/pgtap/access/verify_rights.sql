-- verify_rights: finds rights beyond those of an installation.
begin;
select plan(39);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify_rights()',
  'a new installation has no excess rights');
select changes_nothing('select * from baseledger.verify_rights()', 'it writes nothing');

-- Changes a right, records what is found, and undoes it.
reset role;
create function pg_temp.found(p_change text)
returns setof text
language plpgsql
as $$
declare
  v_found text[];
begin
  begin
    execute p_change;
    set local role baseledger_auditor;
    v_found := array(
      select concat_ws(' | ', d.wallet_id, d.seq, d."check", d.expected, d.found)
        from baseledger.verify_rights() d order by 1
    );
    assert v_found = array(
      select concat_ws(' | ', d.wallet_id, d.seq, d."check", d.expected, d.found)
        from baseledger.verify() d order by 1
    ), 'verify includes what verify_rights finds';
    raise sqlstate 'ZZZZZ';
  exception
    when sqlstate 'ZZZZZ' then
      reset role;
  end;
  return query select unnest(v_found);
end
$$;

create role somebody login;
create role hosts nologin;

create function pg_temp.opens(p_change text, p_expected text, p_found text)
returns text
language sql
as $$
  select results_eq(
    format('select * from pg_temp.found(%L)', p_change),
    array['rights | ' || p_expected || ' | ' || p_found],
    'found: ' || p_change
  )
$$;
create function pg_temp.opens(p_change text, p_object text, p_right text, p_role text)
returns text
language sql
as $$
  select pg_temp.opens(
    p_change, format('%s: no %s for %s', p_object, p_right, p_role),
    format('%s: %s for %s', p_object, p_right, p_role)
  )
$$;

-- Functions.
select pg_temp.opens(
  format('grant execute on function baseledger.credit to %s', r),
  'function baseledger.credit(text,bigint,text,jsonb)', 'EXECUTE', r
) from unnest('{public,baseledger_agent,baseledger_auditor,baseledger_worker}'::text[]) r;
select pg_temp.opens(
  'grant execute on function baseledger.reserve to baseledger_worker',
  'function baseledger.reserve(text,bigint,text,interval,text,bigint,jsonb,jsonb)', 'EXECUTE',
  'baseledger_worker'
);
select pg_temp.opens(
  'grant execute on function baseledger.balance to public',
  'function baseledger.balance(text)', 'EXECUTE', 'public'
);
select pg_temp.opens(
  format('grant execute on function baseledger._parse_bigint to %s', r),
  'function baseledger._parse_bigint(jsonb)', 'EXECUTE', r
) from unnest('{public,baseledger_operator,somebody}'::text[]) r;
select pg_temp.opens(
  'grant execute on function baseledger.credit to baseledger_operator with grant option',
  'function baseledger.credit(text,bigint,text,jsonb): EXECUTE for baseledger_operator, not to be '
    'granted on',
  'function baseledger.credit(text,bigint,text,jsonb): EXECUTE for baseledger_operator with grant '
    'option'
);

-- Tables, columns, views, the schema.
select pg_temp.opens(
  format('grant %s on baseledger.wallets to %s', p, r), 'table baseledger.wallets', p, r
) from unnest('{public,baseledger_agent,baseledger_operator,somebody}'::text[]) r,
  unnest('{SELECT,UPDATE}'::text[]) p;
select pg_temp.opens(
  'grant update (available) on baseledger.wallets to somebody',
  'column baseledger.wallets.available', 'UPDATE (available)', 'somebody'
);
select pg_temp.opens(
  'grant select on baseledger.journal to baseledger_agent',
  'view baseledger.journal', 'SELECT', 'baseledger_agent'
);
select pg_temp.opens(
  'grant create on schema baseledger to somebody', 'schema baseledger', 'CREATE', 'somebody'
);
select pg_temp.opens(
  'grant usage on schema baseledger to public', 'schema baseledger', 'USAGE', 'public'
);

-- Owners.
select pg_temp.opens(
  'alter ' || o || ' owner to somebody', o || ': owned by baseledger_owner',
  o || ': owned by somebody'
) from unnest(array[
  'table baseledger.migrations', 'view baseledger.journal', 'function baseledger.balance(text)',
  'type baseledger.receipt', 'type baseledger.event_type', 'type baseledger._scale'
]) o;

-- What is made later, and the roles themselves.
select pg_temp.opens(
  'alter default privileges for role baseledger_owner grant execute on functions to public',
  'default privileges on functions', 'EXECUTE', 'public'
);
select pg_temp.opens(
  'alter default privileges for role baseledger_owner in schema baseledger '
    'grant select on tables to somebody',
  'default privileges on tables', 'SELECT', 'somebody'
);
select pg_temp.opens(
  'alter role baseledger_owner login', 'role baseledger_owner: NOLOGIN',
    'role baseledger_owner: LOGIN'
);
select pg_temp.opens(
  'alter role baseledger_agent bypassrls', 'role baseledger_agent: NOBYPASSRLS',
  'role baseledger_agent: BYPASSRLS'
);
select pg_temp.opens(
  'grant baseledger_operator to baseledger_agent', 'role baseledger_agent: a member of no role',
  'role baseledger_agent: a member of baseledger_operator'
);

-- Allowed: missing rights, and what a host grants to roles of its own.
select is_empty(format('select * from pg_temp.found(%L)', c), 'allowed: ' || c) from unnest(array[
  'revoke execute on function baseledger.credit from baseledger_operator',
  'grant execute on function baseledger.balance to hosts',
  'grant select on baseledger.wallet_balances to hosts',
  'grant usage on schema baseledger to hosts'
]) c;

select * from finish();
rollback;
