-- Sets the amounts below which funds alert. Locks the wallet's row. Those that funds are below
-- already alert when they have been above.
create or replace function baseledger.set_low_balance(
  p_wallet_id text,
  p_amounts bigint[],
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_amounts bigint[];
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_low_balance(text,bigint[],text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  if array_ndims(p_amounts) > 1
    or cardinality(p_amounts) > 10
    or (
      select count(distinct a.amount) filter (where a.amount >= 1)
        from unnest(p_amounts) as a (amount)
    ) <> cardinality(p_amounts)
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amounts'));
  end if;
  v_amounts := array(select a.amount from unnest(p_amounts) as a (amount) order by 1);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'low_balance_set', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('amounts', v_amounts)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  update baseledger.wallets w
    set low_balances = nullif(v_amounts, '{}'),
      below = baseledger._list_below(v_amounts, w.available, w.reserved)
    where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_low_balance is
  e'Sets the amounts that alert when available + reserved falls below them: once each time, and '
  'again only after funds were back. Replaces those that were set before. Setting alerts nothing. '
  'The key is optional: a retry with the same key gets the first receipt; each call without one is '
  'an event. Refused with LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_amounts: In the wallet''s smallest step, each at least 1, at most 10; null or '
  'empty = none. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_low_balance from public;
grant execute on function baseledger.set_low_balance to baseledger_operator;
