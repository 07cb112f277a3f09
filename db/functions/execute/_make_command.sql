-- Makes a command for _execute from the arguments of a function, refused with LGARG if a value is
-- not allowed. A SQL function without settings, so that it is inlined, and the planner evaluates
-- what is constant in its caller.
create or replace function baseledger._make_command(
  p_op text,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_amount bigint default null,
  p_at_least bigint default null,
  p_ttl interval default null,
  p_final boolean default null,
  p_metadata jsonb default '{}',
  p_details jsonb default null,
  p_usage jsonb default null
)
returns baseledger._command
language sql
immutable
as $$
  select row(
    p_op, p_idempotency_key, p_reservation_id, p_amount, p_at_least, p_ttl, p_final,
    coalesce(p_metadata, '{}'), p_details, null,
    case when baseledger._find_invalid_field(
      p_op, p_idempotency_key, p_reservation_id, p_amount, p_at_least, p_ttl,
      p_metadata, p_details, p_usage
    ) is not null then 'LGARG' end,
    null, null, null, p_usage
  )::baseledger._command
$$;

revoke all on function baseledger._make_command from public;
