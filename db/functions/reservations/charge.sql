-- Spends at once. Locks the wallet's row.
create or replace function baseledger.charge(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_metadata jsonb default '{}',
  p_already_spent boolean default false,
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
    'charge', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_metadata => p_metadata,
    p_details => case when p_already_spent then '{"already_spent": true}'::jsonb end,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.charge is
  e'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. '
  'With p_usage in place of p_amount, spends what that costs by the catalogue of prices, as of now: '
  '{"model": "openai/gpt-5", "input": 1200, "output": 512}; the rules are those of reserve. '
  'A retry with the same key gets the first receipt; of usage, it compares the usage. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGPRC (no price), LGCLO, LGFRZ, LGNSF, LGLIM, LGOVF; with '
  'p_already_spent with LGOVD in place of LGCLO, LGFRZ, LGNSF and LGLIM.'
  '\np_amount: What it costs, above 0, in the wallet''s smallest step; or null, with p_usage. '
  '@or(p_usage)'
  '\np_reservation_id: Name of the reservation that it leaves. Default: the idempotency key.'
  '\np_already_spent: Whether the cost has arisen already, without a hold, so that it must be '
  'booked: past limits, a freeze and a closing, down to the overdraft limit. Default: false.';
revoke all on function baseledger.charge from public;
grant execute on function baseledger.charge to baseledger_agent, baseledger_operator;
