-- Books what a call has cost. Locks the wallet's row.
create or replace function baseledger.settle(
  p_wallet_id text,
  p_reservation_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_final boolean default true,
  p_metadata jsonb default '{}',
  p_usage jsonb default null
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'settle', p_idempotency_key, p_reservation_id, p_amount,
    p_final => coalesce(p_final, true), p_metadata => p_metadata,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.settle is
  e'Books p_amount (0 or more) as spent and gives the rest of the reservation back. With '
  'p_final => false it books a part and keeps the rest reserved. An amount above '
  'the reservation is booked in full; what exceeds it comes from available. A settlement after '
  'the deadline is booked from available, as a late one. Either may take available below zero, '
  'down to the wallet''s overdraft limit. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.'
  '\np_amount: What was spent, 0 or more, in the wallet''s smallest step.';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
