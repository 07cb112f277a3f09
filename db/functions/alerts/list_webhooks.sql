-- The webhooks, without their secrets.
create or replace function baseledger.list_webhooks(p_wallet_id text default null)
returns setof baseledger.webhook
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
  end if;
  return query
    select h.webhook_id, nullif(h.wallet_id, ''), h.url, h.events, h.allow_private, h.added_at
      from baseledger.webhooks h
      where h.removed_at is null
        and (p_wallet_id is null or h.wallet_id in (p_wallet_id, ''))
      order by h.wallet_id, h.added_at, h.webhook_id;
end
$$;

comment on function baseledger.list_webhooks is
  e'The webhooks that get the alerts of a wallet, or all webhooks; without their secrets. Refused '
  'with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all of them.';
revoke all on function baseledger.list_webhooks from public;
grant execute on function baseledger.list_webhooks to baseledger_operator, baseledger_auditor;
