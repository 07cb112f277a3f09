-- Sweeps wallets one by one; one that cannot be swept is left out with a warning. Errors that are
-- no fault of a wallet go to the caller: a transaction that may not write (class 25) or must be
-- retried (40), a server without resources (53), one that shuts down (57) or cannot read its files
-- (58).
create or replace function baseledger._sweep_singly(
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
  v_expired integer := 0;
  v_locked text[] := '{}';
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    begin
      select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
        from baseledger._sweep_wallets(array[v_id], p_limit - v_expired) as s;
    exception
      when others then
        if left(sqlstate, 2) in ('25', '40', '53', '57', '58') then
          raise;
        end if;
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  p_expired := v_expired;
  p_locked := v_locked;
end
$$;

revoke all on function baseledger._sweep_singly from public;
