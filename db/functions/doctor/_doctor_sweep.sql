-- The doctor's checks of the sweep and of the clock.
create or replace function baseledger._doctor_sweep()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_late constant interval := '30 seconds';
  v_status constant baseledger.sweep_status := baseledger.sweep_status();
  v_ahead constant baseledger.wallets_ahead := baseledger.wallets_ahead();
  v_idle constant interval := v_status.as_of - v_status.last_sweep;
  v_lag constant interval := greatest(v_status.as_of - v_status.next_due, '0');
  v_workers bigint;
begin
  select count(*) into v_workers
    from pg_stat_activity a
    where a.datname = current_database() and a.application_name = 'baseledger worker';
  return next baseledger._make_diagnosis(
    'worker', case when v_idle > c_late or v_idle is null then 'warning' end,
    format('%s; %s connections of workers',
      coalesce('last sweep ' || baseledger._format_age(v_idle) || ' ago', 'no sweep ever'), v_workers),
    'a sweep in the last 30 s',
    'Run `baseledger worker`, and look at its log. Without it, due reservations count as returned '
      'all the same, and the next commands of their wallets book that.'
  );
  return next baseledger._make_diagnosis(
    'sweep lag', case when v_lag > c_late then 'warning' end,
    baseledger._format_age(v_lag), '30 s at most',
    'Look at the worker and at open transactions; verify() finds an unsound wallet.'
  );
  return next baseledger._make_diagnosis(
    'wallets ahead', case when v_ahead.wallets > 0 then 'warning' end,
    case when v_ahead.wallets = 0 then 'none'
      else format('%s; %s by %s', v_ahead.wallets, v_ahead.wallet_id,
        baseledger._format_age(v_ahead.last_event_at - v_ahead.as_of)) end,
    'no last event ahead of the clock',
    'The clock was ahead for a while, or is behind now: correct the server''s time. Events keep '
      'their order all the same.'
  );
end
$$;

revoke all on function baseledger._doctor_sweep from public;
