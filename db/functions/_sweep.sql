-- Sweeps wallets, each under its lock, until p_limit reservations have expired; returns how many.
create or replace function baseledger._sweep(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_id text;
  v_expired integer := 0;
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    perform from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update skip locked;
    if found then
      v_expired := v_expired
        + cardinality(baseledger._fold(v_id, '{}', p_limit - v_expired));
    end if;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep from public;
