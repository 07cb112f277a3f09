-- Writes the alerts that a call has raised in a wallet, and their deliveries to the webhooks that
-- there are now. p_seq is the wallet's last event, which the call has written. The caller has
-- locked the wallet; when alerts are sent is the worker's business.
create or replace function baseledger._write_alerts(
  p_wallet_id text,
  p_seq bigint,
  p_alerts baseledger._alert[]
)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.raised_alerts (
      wallet_id, seq, number, kind, threshold, limit_id, label_values, amount, value, starts_at,
      ends_at, occurred_at
    )
    select p_wallet_id, p_seq, a.ordinality, a.kind, a.threshold, a.limit_id, a.label_values,
        a.amount, a.value, a.starts_at, a.ends_at, a.occurred_at
      from unnest(p_alerts) with ordinality as a;
  insert into baseledger.deliveries (wallet_id, seq, number, webhook_id)
    select p_wallet_id, p_seq, a.ordinality, h.webhook_id
      from unnest(p_alerts) with ordinality as a
      -- Those of the empty id are for all wallets.
      join baseledger.webhooks h
        on h.wallet_id in (p_wallet_id, '') and h.removed_at is null and a.kind = any(h.events);
end
$$;

revoke all on function baseledger._write_alerts from public;
