-- The doctor's checks of a standby, and of rows that wait for vacuum.
create or replace function baseledger._doctor_tables()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_standby constant boolean := pg_is_in_recovery();
  v_behind interval := '0';
  v_connected boolean;
  v_dead text;
begin
  if v_standby then
    select count(r.pid) > 0 into v_connected from pg_stat_wal_receiver r;
    if pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn() then
      v_behind := clock_timestamp() - pg_last_xact_replay_timestamp();
    end if;
  end if;
  return next baseledger._make_diagnosis(
    'replication', case when not v_connected or v_behind > interval '10 seconds' then 'warning' end,
    case
      when not v_standby then 'this is no standby'
      when not v_connected then format('a standby without its primary, replayed to %s',
        pg_last_xact_replay_timestamp())
      else format('a standby that is %s behind', baseledger._format_age(v_behind))
    end,
    'a standby follows within 10 s',
    'What is read here is old: look at the primary and the network.'
  );

  select string_agg(format('%s: %s dead, %s live, last vacuum %s', t.relname, t.n_dead_tup,
      t.n_live_tup, coalesce(t.vacuumed::text, 'never')), '; ' order by t.n_dead_tup desc)
    into v_dead
    from (
      select s.*, greatest(s.last_vacuum, s.last_autovacuum) as vacuumed
        from pg_stat_all_tables s
        where s.schemaname = 'baseledger'
    ) as t
    where t.n_dead_tup > 10000 + t.n_live_tup
      and (t.vacuumed > clock_timestamp() - interval '10 minutes') is not true;
  return next baseledger._make_diagnosis(
    'dead rows', case when v_dead is not null then 'warning' end, coalesce(v_dead, 'few'),
    'vacuumed in the last 10 minutes, or more live rows than dead ones',
    'Look for a transaction or a replication slot that is open for long, and at autovacuum''s log.'
  );
end
$$;

revoke all on function baseledger._doctor_tables from public;
