-- Ends a webhook. Its row stays, without the secret, and so do its deliveries: those under way
-- fail.
create or replace function baseledger.remove_webhook(p_webhook_id text)
returns baseledger.webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_webhook baseledger.webhooks;
begin
  perform baseledger._require_operators_only('baseledger.remove_webhook(text)');
  update baseledger.webhooks h
    set removed_at = v_now, secret = null
    where h.webhook_id = p_webhook_id and h.removed_at is null
    returning * into v_webhook;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('webhook_id'));
  end if;
  update baseledger.deliveries d
    set state = 'failed', last_error = 'the webhook was removed', ended_at = v_now
    where d.webhook_id = p_webhook_id and d.state = 'pending';
  return row(
    v_webhook.webhook_id, nullif(v_webhook.wallet_id, ''), v_webhook.url, v_webhook.events,
    v_webhook.allow_private, v_webhook.added_at
  )::baseledger.webhook;
end
$$;

comment on function baseledger.remove_webhook is
  e'Sends no more alerts to a webhook, and returns it. What was not delivered yet is given up. '
  'Refused with LGARG, also when it was removed already. @notNull'
  '\np_webhook_id: Id of the webhook, from add_webhook or list_webhooks.';
revoke all on function baseledger.remove_webhook from public;
grant execute on function baseledger.remove_webhook to baseledger_operator;
