-- The clock for reading: on a standby the time up to which it has replayed its primary, so that
-- nothing counts as returned that the primary may have settled since; null if it has replayed
-- nothing since its start. The views do the same. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._read_clock()
returns timestamptz
language sql
volatile
as $$
  select case
    when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_xact_replay_timestamp()
    else pg_catalog.clock_timestamp()
  end
$$;

revoke all on function baseledger._read_clock from public;
