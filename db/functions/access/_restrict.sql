-- Restricts a wallet, whose lock the caller has, to its grants and keys. A closed one gets no more
-- of them.
create or replace function baseledger._restrict(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
declare
  v_wallet baseledger.wallets;
begin
  select * into v_wallet from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if v_wallet.closed then
    perform baseledger._raise('LGCLO', jsonb_build_object('wallet_id', p_wallet_id));
  end if;
  if not v_wallet.restricted then
    update baseledger.wallets w set restricted = true where w.wallet_id = p_wallet_id;
  end if;
end
$$;

revoke all on function baseledger._restrict from public;
