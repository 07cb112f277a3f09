-- Sweeps wallets, each under its lock, until p_limit reservations have expired. Returns how many,
-- and which wallets another session had locked.
create or replace function baseledger._sweep_wallets(
  p_wallet_ids text[],
  p_limit integer,
  out p_expired integer,
  out p_locked text[]
)
language plpgsql
volatile
as $$
declare
  v_id text;
begin
  p_expired := 0;
  p_locked := '{}';
  foreach v_id in array p_wallet_ids loop
    exit when p_expired >= p_limit;
    perform from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update skip locked;
    if found then
      p_expired := p_expired
        + cardinality(baseledger._execute(v_id, '{}', p_limit - p_expired));
    else
      p_locked := p_locked || v_id;
    end if;
  end loop;
end
$$;

revoke all on function baseledger._sweep_wallets from public;
