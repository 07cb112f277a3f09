-- Sweeps wallets one by one; one that cannot be swept is left out with a warning. (With Citus, which
-- cannot lock rows of several wallets by one statement, this is the only way.) Errors that are
-- no fault of a wallet go to the caller: a transaction that may not write (class 25) or must be
-- retried (40), a server without resources (53), one that shuts down (57) or cannot read its files
-- (58).
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
      perform from baseledger.wallets w
        where w.wallet_id = v_id
        for no key update skip locked;
      if found then
        v_expired := v_expired
          + cardinality(baseledger._execute(v_id, '{}', p_limit - v_expired));
      end if;
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
