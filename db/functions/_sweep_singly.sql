-- Sweeps wallets one by one, leaving out with a warning those that cannot be swept. What is no fault
-- of a wallet goes to the caller: a transaction that may not write (class 25) or has to be tried
-- again (40), a server that lacks room (53), is told to stop (57) or cannot read (58).
create or replace function baseledger._sweep_singly(p_wallet_ids text[], p_limit integer)
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
    begin
      v_expired := v_expired + baseledger._sweep(array[v_id], p_limit - v_expired);
    exception
      when others then
        if left(sqlstate, 2) in ('25', '40', '53', '57', '58') then
          raise;
        end if;
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_singly from public;
