-- Whether a command changes who may use a wallet, or how, and moves nothing: it is named as its event,
-- and what it asks for are the event's details. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._is_change(p_op text)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_op in (
    'allowed', 'disallowed', 'key_created', 'key_revoked', 'limit_set', 'limit_set_for',
    'limit_removed', 'overdraft_limit_set', 'low_balance_set', 'closed', 'reopened'
  )
$$;

revoke all on function baseledger._is_change from public;
