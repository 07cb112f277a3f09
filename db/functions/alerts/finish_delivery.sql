-- How an attempt has ended: it was received, or not. After so many attempts that a day is over,
-- with the pauses of graphile-worker between them (e, e^2, e^3 … e^10 = 22,026 seconds, and then
-- always as long), it is given up. Until then the job retries; should it be lost, the delivery is
-- due again somewhat later than the job would have run.
create or replace function baseledger.finish_delivery(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_webhook_id text,
  p_error text default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_attempts constant integer := 14;
  v_now constant timestamptz := clock_timestamp();
  v_state text;
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  update baseledger.deliveries d
    set state = case
        when p_error is null then 'sent'
        when d.attempts >= c_attempts then 'failed'
        else d.state
      end,
      last_error = coalesce(left(p_error, 500), d.last_error),
      due_at = v_now
        + make_interval(secs => exp(least(d.attempts, 10)), mins => 10),
      ended_at = case when p_error is null or d.attempts >= c_attempts then v_now end
    where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
      and d.webhook_id = p_webhook_id
      -- Received after all, by an attempt that took longer than the one that gave up.
      and (d.state = 'pending' or d.state = 'failed' and p_error is null)
    returning d.state into v_state;
  return v_state;
end
$$;

comment on function baseledger.finish_delivery is
  e'For the worker: records how an attempt to send an alert has ended, and returns what the '
  'delivery is now: sent, pending (to be tried again), or failed (given up); null if it had ended '
  'before. Refused with LGARG.'
  '\np_seq: The event that raised the alert.'
  '\np_number: Which of its alerts.'
  '\np_webhook_id: The webhook.'
  '\np_error: Why it was not received. Default: it was.';
revoke all on function baseledger.finish_delivery from public;
grant execute on function baseledger.finish_delivery to baseledger_worker;
