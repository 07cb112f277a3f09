-- Refuses a wallet id that no wallet has, or none that the caller may use; as an invalid argument
-- if no wallet can have it.
create or replace function baseledger._raise_wallet_not_found(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._raise('LGWNF', jsonb_build_object('wallet_id', p_wallet_id));
end
$$;

revoke all on function baseledger._raise_wallet_not_found from public;
