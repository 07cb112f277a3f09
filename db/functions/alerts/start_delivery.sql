-- What a job needs to send an alert; no row if there is nothing to send any more. The attempt
-- counts from here on. If the worker dies during it, the delivery is due again a minute later.
create or replace function baseledger.start_delivery(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_webhook_id text
)
returns setof baseledger.delivery
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_due_at constant timestamptz := v_now + interval '1 minute';
  v_suppressed bigint;
  v_delivery baseledger.delivery;
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  update baseledger.deliveries d
    set attempts = d.attempts + 1, due_at = v_due_at
    where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
      and d.webhook_id = p_webhook_id and d.state = 'pending'
    returning d.suppressed into v_suppressed;
  if not found then
    return;
  end if;
  select h.url, h.secret, h.allow_private
    into v_delivery.url, v_delivery.secret, v_delivery.allow_private
    from baseledger.webhooks h
    where h.wallet_id in (p_wallet_id, '') and h.webhook_id = p_webhook_id
      and h.removed_at is null;
  if not found then
    -- Removed while a command that had still seen it was writing the alert.
    update baseledger.deliveries d
      set state = 'failed', last_error = 'the webhook was removed', ended_at = v_now
      where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
        and d.webhook_id = p_webhook_id;
    return;
  end if;
  v_delivery.message_id := 'alert_' || left(encode(sha256(convert_to(
    concat_ws(' ', p_seq, p_number, p_wallet_id), 'UTF8'
  )), 'hex'), 32);
  v_delivery.body := baseledger._encode_alert(p_wallet_id, p_seq, p_number, v_suppressed);
  return next v_delivery;
end
$$;

comment on function baseledger.start_delivery is
  e'For the worker: what to send to a webhook, and with which secret to sign it; no row if it was '
  'sent, given up or suppressed. Each call counts as an attempt. Refused with LGARG.'
  '\np_seq: The event that raised the alert.'
  '\np_number: Which of its alerts.'
  '\np_webhook_id: The webhook.';
revoke all on function baseledger.start_delivery from public;
grant execute on function baseledger.start_delivery to baseledger_worker;
