-- Deletes those of a wallet's counters, where they are, whose windows have ended by then, that hold
-- nothing, and have no own amount. One that a command is writing stays.
--
-- All but the way by the rows' places is off: see _delete_reservations.
create or replace function baseledger._delete_counters(
  p_wallet_id text,
  p_rows tid[],
  p_ended_by timestamptz
)
returns integer
language plpgsql
volatile
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
as $$
declare
  v_rows tid[];
  v_count integer;
begin
  v_rows := array(
    select c.ctid from baseledger.counters c
      where c.wallet_id = p_wallet_id
        and c.ctid = any (p_rows)
        and c.ends_at <= p_ended_by
        and c.own_amount is null
        and c.held = 0
      for update skip locked
  );
  delete from baseledger.counters c where c.wallet_id = p_wallet_id and c.ctid = any (v_rows);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

revoke all on function baseledger._delete_counters from public;
