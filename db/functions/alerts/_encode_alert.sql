-- What a webhook gets: the alert as JSON. Amounts are text, as a number of JSON may lose digits.
-- Numbers of tokens or calls have neither a unit nor decimals.
create or replace function baseledger._encode_alert(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_suppressed bigint
)
returns text
language plpgsql
stable
set timezone = 'UTC'
as $$
declare
  v_wallet baseledger.wallets;
  v_limit baseledger.limits;
  v_alert baseledger.raised_alerts;
begin
  select * into v_wallet from baseledger.wallets w where w.wallet_id = p_wallet_id;
  select * into v_alert from baseledger.raised_alerts a
    where a.wallet_id = p_wallet_id and a.seq = p_seq and a.number = p_number;
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = v_alert.limit_id;
  return json_build_object(
    'type', 'baseledger.' || v_alert.kind,
    'timestamp', v_alert.occurred_at,
    'data', json_build_object(
      'wallet_id', p_wallet_id,
      'seq', p_seq,
      'number', p_number,
      'kind', v_alert.kind,
      'threshold', case
        when v_alert.kind = 'limit' then to_json(v_alert.threshold)
        else to_json(v_alert.threshold::text)
      end,
      'limit_id', v_alert.limit_id,
      'values', v_alert.label_values,
      'per', v_limit.per,
      'of', v_limit.of,
      'amount', trim_scale(v_alert.amount)::text,
      'value', trim_scale(v_alert.value)::text,
      'unit', case when v_limit.of <> 'amount' then null else v_wallet.unit end,
      'scale', case when v_limit.of <> 'amount' then null else v_wallet.scale end,
      'starts_at', nullif(v_alert.starts_at, '-infinity'),
      'ends_at', nullif(v_alert.ends_at, 'infinity'),
      'suppressed', p_suppressed
    )
  )::text;
end
$$;

revoke all on function baseledger._encode_alert from public;
