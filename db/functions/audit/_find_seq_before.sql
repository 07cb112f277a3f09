-- The last event of a wallet before an instant; 0 if there is none. Times strictly increase with
-- seq, so that it is found by bisection over the primary key.
create or replace function baseledger._find_seq_before(p_wallet_id text, p_before timestamptz)
returns bigint
language plpgsql
stable
as $$
declare
  v_low bigint := 0;      -- is before
  v_high bigint;          -- the first that may not be
  v_middle bigint;
  v_occurred_at timestamptz;
begin
  select w.seq + 1 into v_high from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  while v_low + 1 < v_high loop
    v_middle := (v_low + v_high) / 2;
    select e.occurred_at into v_occurred_at
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq = v_middle;
    if v_occurred_at < p_before then
      v_low := v_middle;
    else
      v_high := v_middle;
    end if;
  end loop;
  return v_low;
end
$$;

revoke all on function baseledger._find_seq_before from public;
