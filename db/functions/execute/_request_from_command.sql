-- The request of a command in a form that can be compared: see _compare_requests.
create or replace function baseledger._request_from_command(p_command baseledger._command)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object(
    'op', p_command.op,
    'reservation_id', p_command.reservation_id,
    'amount', case
      when p_command.op <> 'cancel' and p_command.usage is null then p_command.amount
    end,
    'usage', p_command.usage,
    'at_least', p_command.at_least,
    'ttl', case when p_command.op in ('reserve', 'extend')
      then pg_catalog.extract('epoch', p_command.ttl) end,
    'final', case when p_command.op = 'settle' then p_command.final end,
    'to', p_command.details ->> 'to',
    'reason', p_command.details ->> 'reason',
    'already_spent', p_command.details -> 'already_spent',
    'metadata', p_command.metadata
  ) || case
    when baseledger._is_change(p_command.op) then p_command.details
      - (case p_command.op when 'key_created' then '{key_id,secret_sha256}' else '{}' end)::text[]
    else '{}'
  end
$$;

revoke all on function baseledger._request_from_command from public;
