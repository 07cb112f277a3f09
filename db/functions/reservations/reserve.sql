-- Holds funds before a call. Locks the wallet's row.
create or replace function baseledger.reserve(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_ttl interval default null,
  p_reservation_id text default null,
  p_at_least bigint default null,
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
  p_ttl := baseledger._default_ttl(p_ttl);
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'reserve', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_at_least, p_ttl, p_metadata => p_metadata,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.reserve is
  e'Holds p_amount (the wallet''s smallest step, above 0) for a call, until it is settled or '
  'cancelled, or p_ttl (1 second to 30 days, default 10 minutes) has passed. p_reservation_id '
  'defaults to the idempotency key. With p_at_least, grants what is there between p_at_least and '
  'p_amount; the receipt''s amount says how much. A retry with the same key gets the first '
  'receipt. '
  'With p_usage in place of p_amount, holds what that costs by the catalogue of prices: the most '
  'that the call may use, {"model": "openai/gpt-5", "input": 1200, "output": 4000}. Counts are JSON '
  'numbers, whole, 0 to 10^12: tokens, requests and the like, each counted once (input is what no '
  'cache had). variant is standard unless it is named. The cost is rounded up to the wallet''s '
  'smallest step, in wallets of scale 6 or more; 0 is granted if the price is 0. The price is that '
  'of now, also for the settlements of the reservation. The receipt''s amount says what it costs. '
  'A retry compares the usage, so it gets the first receipt whatever prices are now. '
  'Refused with LGARG, LGWNF, LGIDK, LGRID (reservation id taken), LGPRC (no price), LGCLO, LGFRZ '
  '(wallet frozen), LGNSF (insufficient funds), LGLIM.'
  '\np_amount: The most that it may cost, above 0, in the wallet''s smallest step; or null, with '
  'p_usage. @or(p_usage)'
  '\np_ttl: Time until the deadline, 1 second to 30 days. Default: 10 minutes.'
  '\np_reservation_id: Name of the reservation in its wallet. Default: the idempotency key.';
revoke all on function baseledger.reserve from public;
grant execute on function baseledger.reserve to baseledger_agent, baseledger_operator;
