-- Refuses what a closed wallet gets no more. The caller has its lock.
create or replace function baseledger._refuse_closed(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
begin
  if (select w.closed from baseledger.wallets w where w.wallet_id = p_wallet_id) then
    perform baseledger._raise('LGCLO', jsonb_build_object('wallet_id', p_wallet_id));
  end if;
end
$$;

revoke all on function baseledger._refuse_closed from public;
