-- Stops a command that would leave a wallet with balances to which no command may lead: a bug of
-- _execute, or a row that somebody has changed. Nothing is written.
create or replace function baseledger._raise_corrupted(
  p_wallet_id text,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint
)
returns void
language plpgsql
volatile
as $$
begin
  raise exception using
    errcode = 'data_corrupted',
    message = format('wallet %s is unsound', p_wallet_id),
    detail = jsonb_build_object(
      'available', p_available, 'reserved', p_reserved, 'spent', p_spent
    )::text,
    hint = 'Nothing was changed. Run baseledger.verify() on this wallet.';
end
$$;

revoke all on function baseledger._raise_corrupted from public;
