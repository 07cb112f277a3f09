-- Adds a webhook. Locks the table of webhooks against other changes, not against commands, which
-- read it when they raise an alert. It is in no wallet's journal: it may concern all wallets.
create or replace function baseledger.add_webhook(
  p_wallet_id text,
  p_url text,
  p_events text[] default '{limit,low_balance}',
  p_allow_private boolean default false,
  p_idempotency_key text default null
)
returns baseledger.added_webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_at_most constant integer := 16;
  v_invalid text;
  v_webhook baseledger.webhooks;
  v_first baseledger.webhooks;
  v_difference jsonb;
begin
  perform baseledger._require_operators_only(
    'baseledger.add_webhook(text,text,text[],boolean,text)'
  );
  v_invalid := case
    when not baseledger._is_webhook_url(p_url) then 'url'
    when p_events is null or p_events = '{}' or array_ndims(p_events) <> 1
      or array_position(p_events, null) is not null
      or not p_events <@ '{limit,low_balance}' then 'events'
    when p_allow_private is null then 'allow_private'
    when p_idempotency_key is not null and baseledger._is_impossible_id(p_idempotency_key)
      then 'idempotency_key'
  end;
  if v_invalid is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_invalid));
  end if;
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
  end if;

  lock table baseledger.webhooks in share row exclusive mode;
  v_webhook.wallet_id := coalesce(p_wallet_id, '');
  v_webhook.webhook_id := 'wh_' || replace(gen_random_uuid()::text, '-', '');
  v_webhook.url := p_url;
  v_webhook.events := array(select distinct e from unnest(p_events) as e order by e);
  v_webhook.secret := baseledger._make_webhook_secret();
  v_webhook.allow_private := p_allow_private;
  v_webhook.idempotency_key := p_idempotency_key;
  v_webhook.added_at := clock_timestamp();
  if p_idempotency_key is not null then
    select * into v_first from baseledger.webhooks h
      where h.wallet_id = v_webhook.wallet_id and h.idempotency_key = p_idempotency_key;
    if found then
      v_difference := baseledger._compare_requests(
        jsonb_build_object(
          'url', v_first.url, 'events', v_first.events, 'allow_private', v_first.allow_private
        ),
        jsonb_build_object(
          'url', p_url, 'events', v_webhook.events, 'allow_private', p_allow_private
        )
      );
      if v_difference is not null then
        perform baseledger._raise('LGIDK', v_difference);
      end if;
      return row(v_first.webhook_id, null, true)::baseledger.added_webhook;
    end if;
  end if;

  if c_at_most <= (
    select count(*) from baseledger.webhooks h
      where h.wallet_id = v_webhook.wallet_id and h.removed_at is null
  ) then
    perform baseledger._raise('LGARG', baseledger._describe_argument('webhooks'));
  end if;
  insert into baseledger.webhooks (
      wallet_id, webhook_id, url, events, secret, allow_private, idempotency_key, added_at
    )
    values (
      v_webhook.wallet_id, v_webhook.webhook_id, v_webhook.url, v_webhook.events,
      v_webhook.secret, v_webhook.allow_private, v_webhook.idempotency_key, v_webhook.added_at
    );
  return row(v_webhook.webhook_id, v_webhook.secret, false)::baseledger.added_webhook;
end
$$;

comment on function baseledger.add_webhook is
  e'Sends alerts to an address from now on: the worker posts each as JSON, signed after the '
  'convention of Standard Webhooks, until the receiver answers with a code from 200 to 299, for '
  'about a day. The secret to check signatures with is made here and shown only once. The key is '
  'optional: a retry with the same key gets the same webhook, without the secret. At most 16 for '
  'a wallet, and 16 for all. Refused with LGARG, LGWNF, LGIDK. @notNull'
  '\np_wallet_id: Id of the wallet whose alerts are sent; null for those of all wallets. @nullable'
  '\np_url: An http or https address without credentials, of at most 2048 characters.'
  '\np_events: Which alerts: limit, low_balance.'
  '\np_allow_private: Whether it may be at an address that is not public, such as 10.0.0.1.'
  '\np_idempotency_key: The caller''s name for the call, unique in its wallet. Default: none.';
revoke all on function baseledger.add_webhook from public;
grant execute on function baseledger.add_webhook to baseledger_operator;
