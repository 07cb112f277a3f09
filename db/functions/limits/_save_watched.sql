-- Writes what commands have done to the counters of a limited wallet and to funds that are watched,
-- and the alerts.
create or replace function baseledger._save_watched(
  p_wallet_id text,
  p_seq bigint,                       -- the last event
  p_counters baseledger._counter[],
  p_alerts baseledger._alert[],
  p_low_balances bigint[],
  p_below bigint[],
  p_funds numeric[],                  -- available + reserved after each event
  p_times timestamptz[]               -- when it happened
)
returns void
language plpgsql
volatile
as $$
declare
  v_watched record;
begin
  if p_counters is not null then
    perform baseledger._save_counters(p_wallet_id, p_counters, null, 0, 0, null);
  end if;
  if p_low_balances is not null then
    v_watched := baseledger._watch_balance(p_low_balances, p_below, p_funds, p_times);
    p_alerts := p_alerts || v_watched.alerts;
    if v_watched.below is distinct from p_below then
      update baseledger.wallets w set below = v_watched.below where w.wallet_id = p_wallet_id;
    end if;
  end if;
  if p_alerts <> '{}' then
    perform baseledger._write_alerts(p_wallet_id, p_seq, p_alerts);
  end if;
end
$$;

revoke all on function baseledger._save_watched from public;
