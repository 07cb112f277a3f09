-- The heartbeat of a long call. Locks the wallet's row.
create or replace function baseledger.extend(
  p_wallet_id text,
  p_reservation_id text,
  p_ttl interval,
  p_idempotency_key text,
  p_amount bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  p_ttl := baseledger._as_seconds(p_ttl);
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'extend', p_idempotency_key, p_reservation_id, p_amount,
    p_ttl => p_ttl, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.extend is
  e'Gives an open reservation a new deadline, p_ttl (1 second to 30 days) from now. With p_amount '
  'it also holds that much from now on, more or less than before; the receipt''s amount is the '
  'change. A frozen wallet allows no larger hold. A retry with the same key gets the first '
  'receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, LGEND, LGEXP (past its deadline), LGNSF, '
  'LGFRZ, LGOVF.'
  '\np_ttl: Time from now until the new deadline, 1 second to 30 days.'
  '\np_amount: What it holds from now on, in the wallet''s smallest step. Default: what it holds.';
revoke all on function baseledger.extend from public;
grant execute on function baseledger.extend to baseledger_agent, baseledger_operator;
