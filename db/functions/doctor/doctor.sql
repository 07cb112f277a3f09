-- Checks everything around the ledger that may keep it from working well. verify() checks the data.
create or replace function baseledger.doctor()
returns setof baseledger.diagnosis
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  return next (
    select baseledger._make_diagnosis('schema', null, format('%s: %s', m.id, m.name), null, null)
      from baseledger.migrations m
      order by m.id desc
      limit 1
  );
  return query select * from baseledger._doctor_rights();
  return query select * from baseledger._doctor_settings();
  return query select * from baseledger._doctor_sweep();
  return query select * from baseledger._doctor_limits();
  return query select * from baseledger._doctor_tables();
  return query select * from baseledger._doctor_transactions();
end
$$;

comment on function baseledger.doctor is
  'Checks everything around the ledger: server, schema, rights, settings, worker, clock, '
  'standby, vacuum, open transactions. Returns a row for each check, also for those that are '
  'fine. Takes two seconds if a transaction holds a wallet. Changes nothing; verify checks the '
  'data.';
revoke all on function baseledger.doctor from public;
grant execute on function baseledger.doctor to baseledger_operator, baseledger_auditor;
