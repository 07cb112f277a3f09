-- The state of the sweep, for monitoring.
create or replace function baseledger.sweep_status()
returns baseledger.sweep_status
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_status baseledger.sweep_status;
begin
  v_status.as_of := clock_timestamp();
  select max(s.looked_at) into v_status.last_sweep
    from baseledger.sweeps s
    where s.looked_at <= v_status.as_of;
  v_status.next_due := baseledger.next_due();
  return v_status;
end
$$;

comment on function baseledger.sweep_status is
  'How the sweep of due reservations is doing, whichever worker does it. Costs next to nothing. '
  '@notNull';
revoke all on function baseledger.sweep_status from public;
grant execute on function baseledger.sweep_status
  to baseledger_worker, baseledger_operator, baseledger_auditor;
