-- tg_events__append_only: no role, the owner and the superuser included, changes or removes an
-- event; no role but the owner has a right on a table.
begin;
select plan(76);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r');
end
$$;

create function pg_temp.refused(p_statement text) returns jsonb
language plpgsql as $$
declare
  v_detail text;
begin
  execute p_statement;
  return null;
exception
  when others then
    get stacked diagnostics v_detail = pg_exception_detail;
    return jsonb_build_array(sqlstate, case when sqlstate ~ '^LG' then v_detail::jsonb end);
end
$$;

create temp table attempt as
  select * from (values
    ('UPDATE', $$update baseledger.events set amount = 1$$),
    ('UPDATE', $$update baseledger.events set metadata = metadata where seq = 1$$),
    ('UPDATE', $$insert into baseledger.events select * from baseledger.events
      on conflict (wallet_id, seq) do update set amount = 1$$),
    ('UPDATE', $$merge into baseledger.events e using (values (1)) as v(n) on e.seq = 1
      when matched then update set amount = 1$$),
    ('DELETE', $$delete from baseledger.events$$),
    ('DELETE', $$delete from baseledger.events where seq = 3$$),
    ('DELETE', $$merge into baseledger.events e using (values (1)) as v(n) on e.seq = 1
      when matched then delete$$),
    ('DELETE', $$with gone as (delete from baseledger.events returning *)
      insert into baseledger.events select * from gone$$),
    ('TRUNCATE', $$truncate baseledger.events$$),
    ('TRUNCATE', $$truncate baseledger.wallets, baseledger.events, baseledger.reservations$$)
  ) as a(operation, statement);
grant select on attempt to public;

select is(
  pg_temp.refused(statement),
  jsonb_build_array('LGIMM', jsonb_build_object('operation', operation)),
  'the superuser: ' || regexp_replace(statement, '\s+', ' ', 'g')
) from attempt;

set local role baseledger_owner;
select is(
  pg_temp.refused(statement),
  jsonb_build_array('LGIMM', jsonb_build_object('operation', operation)),
  'the owner: ' || regexp_replace(statement, '\s+', ' ', 'g')
) from attempt;

reset role;
set local session_replication_role = replica;
select is(
  pg_temp.refused(statement),
  jsonb_build_array('LGIMM', jsonb_build_object('operation', operation)),
  'with session_replication_role = replica: ' || regexp_replace(statement, '\s+', ' ', 'g')
) from attempt;
set local session_replication_role = origin;

select is(count(*), 3::bigint, 'every event still exists')
  from baseledger.events;

-- The other roles have no right to try.
create function pg_temp.as_role(p_role text, p_statement text) returns text
language plpgsql as $$
begin
  perform set_config('role', p_role, true);
  begin
    execute p_statement;
    perform set_config('role', 'none', true);
    return null;
  exception
    when others then
      perform set_config('role', 'none', true);
      return sqlstate;
  end;
end
$$;

select is(
  pg_temp.as_role(r.name, s.statement), '42501', format('%s: %s', r.name, s.statement)
) from unnest(array[
    'baseledger_agent', 'baseledger_operator', 'baseledger_auditor', 'baseledger_worker'
  ]) as r(name)
  cross join unnest(array[
    'select from baseledger.events',
    'insert into baseledger.events select * from baseledger.events',
    'update baseledger.events set amount = 1',
    'delete from baseledger.events',
    'truncate baseledger.events',
    'select from baseledger.wallets for update',
    'update baseledger.wallets set available = 1',
    'delete from baseledger.wallets',
    'select from baseledger.reservations',
    'delete from baseledger.reservations',
    'alter table baseledger.events disable trigger all'
  ]) as s(statement);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
