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
  'With p_usage in place of p_amount, books what that costs by the prices of the instant at which '
  'the reservation was opened: {"input": 1200, "output": 512}. model and variant are those of its '
  'usage, unless they are named; a reservation that was opened by an amount has none, so name the '
  'model. Each settlement is priced for itself, as one request: its input decides which row of the '
  'price counts, and its cost is rounded up. The receipt''s amount says what it costs. '
  'A retry with the same key gets the first receipt; of usage, it compares the usage. Refused with '
  'LGARG, LGWNF, LGIDK, LGRNF, LGPRC (no price: book the amount instead), '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.'
  '\np_amount: What was spent, 0 or more, in the wallet''s smallest step; or null, with p_usage. '
  '@or(p_usage)'
  '\np_usage: What was used, {"input": 1200, "output": 512}; the ledger prices it. @type(Usage)';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
