-- Whether a command changes who may use a wallet, or how, and moves nothing: it is named as its
-- event, and what it asks for are the event's details. Not in SQL: the planner calls it to find
-- constants, and a statement of its own would be compiled where JIT is on.
create or replace function baseledger._is_change(p_op text)
returns boolean
language plpgsql
immutable
parallel safe
as $$
begin
  return p_op in (
    'allowed', 'disallowed', 'key_created', 'key_revoked', 'limit_set', 'limit_set_for',
    'limit_removed', 'overdraft_limit_set', 'low_balance_set', 'closed', 'reopened'
  );
end
$$;

revoke all on function baseledger._is_change from public;
