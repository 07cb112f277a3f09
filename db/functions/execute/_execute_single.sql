-- Executes a single command, and raises its refusal. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._execute_single(
  p_wallet_id text,
  p_command baseledger._command,
  p_priced boolean default false      -- it has usage
)
returns baseledger.receipt
language sql
volatile
as $$
  select (baseledger._execute(p_wallet_id, array[p_command], null, true, null, p_priced))[1]
$$;

revoke all on function baseledger._execute_single from public;
