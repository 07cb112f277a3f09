-- price_rows: no role, the owner and the superuser included, changes or removes a price; no role
-- but the owner has a right on the table.
begin;
select plan(46);

do $$
begin
  perform baseledger.set_prices('[
    {"model": "a/m", "rates": {"input": 1}}, {"model": "a/n", "rates": {"input": 1}}
  ]');
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
    ('UPDATE', $$update baseledger.price_rows set rates = '{"input": 0}'$$),
    ('UPDATE', $$update baseledger.price_rows set source = source where price_id = 1$$),
    ('UPDATE', $$insert into baseledger.price_rows select * from baseledger.price_rows
      on conflict (price_id) do update set rates = '{}'$$),
    ('UPDATE', $$merge into baseledger.price_rows r using (values (1)) as v(n) on r.price_id = 1
      when matched then update set valid_from = '-infinity'$$),
    ('DELETE', $$delete from baseledger.price_rows$$),
    ('DELETE', $$delete from baseledger.price_rows where price_id = 2$$),
    ('TRUNCATE', $$truncate baseledger.price_rows$$)
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
select is(count(*), 2::bigint, 'every price still exists') from baseledger.price_rows;
select is(pg_temp.refused('insert into baseledger.price_rows select * from baseledger.price_rows')
  ->> 0, '23505', 'no two have one id');
select throws_like('delete from baseledger.price_rows', '%prices are append-only%',
  'the message names the prices');

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
    'select from baseledger.price_rows',
    'insert into baseledger.price_rows select * from baseledger.price_rows',
    'update baseledger.price_rows set above = 1',
    'delete from baseledger.price_rows',
    'lock table baseledger.price_rows'
  ]) as s(statement);
select is(
  pg_temp.as_role(r.name, 'select from baseledger.prices'), null, r.name || ' reads the view'
) from unnest(array['baseledger_agent', 'baseledger_worker']) as r(name);

select * from finish();
rollback;
