-- Sweeps wallets in their order until p_limit reservations have expired, and returns how many. Passes
-- those that another session has locked. Locks no more wallets at once than may expire something,
-- so that other sweepers find the rest.
create or replace function baseledger._sweep_wallets(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_expired integer := 0;
  v_next integer := 1;
  v_ids text[];
begin
  while v_expired < p_limit and v_next <= cardinality(p_wallet_ids) loop
    v_ids := p_wallet_ids[v_next:v_next + p_limit - v_expired - 1];
    v_next := v_next + cardinality(v_ids);
    v_expired := v_expired + cardinality(
      baseledger._execute(null, '{}', p_limit - v_expired, p_wallet_ids => v_ids)
    );
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_wallets from public;
