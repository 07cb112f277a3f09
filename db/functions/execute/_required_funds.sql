-- What must be available on record for a command to be granted in full; null if it takes nothing,
-- or if it may take without limit. The backlog may stand in for it: see _execute.
create or replace function baseledger._required_funds(
  p_command baseledger._command,
  p_hold baseledger._hold,
  p_overdraft_limit bigint
)
returns bigint
language sql
immutable
as $$
  select case
    when p_command.details -> 'already_spent' is not null
      then p_command.amount - p_overdraft_limit
    when p_command.op in ('reserve', 'charge', 'withdraw', 'transfer_out') then p_command.amount
    when p_command.op = 'extend' then p_command.amount - p_hold.held
    when p_command.op = 'settle' then
      greatest(
        p_command.amount - case when p_hold.status = 'open' then p_hold.held else 0 end, 0
      ) - p_overdraft_limit
  end
$$;

revoke all on function baseledger._required_funds from public;
