-- The doctor's checks of transactions that hold wallets. The server does not show the owner of this
-- function since when a transaction is open, so it looks twice: transactions of commands are over
-- by then.
create or replace function baseledger._doctor_transactions()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_pause constant float8 := 2;
  c_modes constant text[] := array[
    'RowShareLock', 'RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
    'AccessExclusiveLock'
  ];
  v_held text[];
  v_found text;
begin
  select array_agg(l.virtualtransaction) into v_held
    from pg_locks l
    where l.relation = 'baseledger.wallets'::regclass
      and l.mode = any(c_modes)
      and l.granted
      and l.pid <> pg_backend_pid();
  if v_held is not null then
    perform pg_sleep(c_pause);
  end if;
  select string_agg(format('pid %s, login %s, application %s, since %s, %s waiting', h.pid,
      coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), '?'),
      coalesce(a.xact_start::text, 'when is hidden'), (
        select count(*) from pg_locks w
          where not w.granted and h.pid = any(pg_blocking_pids(w.pid))
      )), '; ' order by a.xact_start, h.pid)
    into v_found
    from (
      select distinct l.pid
        from pg_locks l
        where l.relation = 'baseledger.wallets'::regclass
          and l.mode = any(c_modes)
          and l.granted
          and l.virtualtransaction = any(v_held)
          -- whoever waits himself is not to blame
          and not exists (select from pg_locks w where w.pid = l.pid and not w.granted)
    ) as h
    left join pg_stat_activity a on a.pid = h.pid;
  return next baseledger._make_diagnosis(
    'open transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none that lasts'), 'none holds a wallet for 2 s',
    'Their wallets stand still: commit a hold before the model is called. pg_terminate_backend ends '
      'one; pg_stat_activity shows since when, to members of pg_monitor.'
  );

  select string_agg(
      format('%s by %s, since %s', p.gid, p.owner, p.prepared), '; ' order by p.prepared
    )
    into v_found
    from pg_prepared_xacts p
    where p.database = current_database()
      and p.prepared < clock_timestamp() - make_interval(secs => c_pause)
      and exists (
        select from pg_locks t
          join pg_locks l on l.virtualtransaction = t.virtualtransaction and l.pid is null
          where t.transactionid = p.transaction
            and t.pid is null
            and l.relation = 'baseledger.wallets'::regclass
      );
  return next baseledger._make_diagnosis(
    'prepared transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none'), 'none holds a wallet',
    'End it with commit prepared or rollback prepared: it outlives its session, and restarts.'
  );
end
$$;

revoke all on function baseledger._doctor_transactions from public;
