-- Sweeps wallets in their order until p_limit reservations have expired. Returns how many, and which
-- wallets another session had locked. Locks no more wallets at once than may expire something, so
-- that other sweepers find the rest.
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
  v_next integer := 1;
  v_ids text[];
  v_free text[];
begin
  p_expired := 0;
  p_locked := '{}';
  while p_expired < p_limit and v_next <= cardinality(p_wallet_ids) loop
    v_ids := p_wallet_ids[v_next:v_next + p_limit - p_expired - 1];
    v_next := v_next + cardinality(v_ids);
    v_free := array(
      select w.wallet_id from baseledger.wallets w
        where w.wallet_id = any(v_ids)
        for no key update skip locked
    );
    p_locked := p_locked || array(select i from unnest(v_ids) as i where i <> all(v_free));
    -- In the order of the argument, whose first are due first.
    v_free := array(select i from unnest(v_ids) as i where i = any(v_free));
    p_expired := p_expired + cardinality(
      baseledger._execute(null, '{}', p_limit - p_expired, p_wallet_ids => v_free)
    );
  end loop;
end
$$;

revoke all on function baseledger._sweep_wallets from public;
