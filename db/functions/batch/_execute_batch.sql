-- Executes a batch. An empty one only checks the wallet: _execute without commands would be the
-- sweep.
create or replace function baseledger._execute_batch(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_priced boolean                    -- some have usage
)
returns baseledger.receipt[]
language plpgsql
volatile
as $$
begin
  if cardinality(p_commands) > 0 then
    return baseledger._execute(p_wallet_id, p_commands, p_priced => p_priced);
  end if;
  perform from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or (baseledger._find_access(p_wallet_id)).allowed);
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return '{}'::baseledger.receipt[];
end
$$;

revoke all on function baseledger._execute_batch from public;
