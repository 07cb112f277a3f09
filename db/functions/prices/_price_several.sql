-- Prices the commands of wallets that are locked together. Those of a restricted wallet come later,
-- when access has decided on them.
create or replace function baseledger._price_several(
  p_locked baseledger._locked_wallet[],
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_wallet_of text[] := array_fill(null::text, array[cardinality(p_commands)]);
  v_wallet baseledger._locked_wallet;
begin
  foreach v_wallet in array p_locked loop
    continue when v_wallet.restricted;
    v_wallet_of[v_wallet.first:v_wallet.until] := p_wallet_of[v_wallet.first:v_wallet.until];
  end loop;
  return baseledger._price_commands(null, v_wallet_of, p_commands, 1, cardinality(p_commands));
end
$$;

revoke all on function baseledger._price_several from public;
