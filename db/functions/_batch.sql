-- Folds a batch. Without commands there is nothing to do but to say so of an unknown wallet:
-- _fold without commands would be the sweep.
create or replace function baseledger._batch(
  p_wallet_id text,
  p_commands baseledger._command[]
)
returns baseledger.receipt[]
language plpgsql
volatile
as $$
begin
  if cardinality(p_commands) > 0 then
    return baseledger._fold(p_wallet_id, p_commands);
  end if;
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  return '{}'::baseledger.receipt[];
end
$$;

revoke all on function baseledger._batch from public;
