-- Removes a limit and its counters. Locks the wallet's row. Whether there is such a limit is looked
-- at after the event was written, so that a retry gets its receipt.
create or replace function baseledger.remove_limit(
  p_wallet_id text,
  p_limit_id text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.remove_limit(text,text,text,jsonb)');
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('limit_id', p_limit_id);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_removed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('limit_id', p_limit_id)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  delete from baseledger.limits l where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  end if;
  delete from baseledger.counters c where c.wallet_id = p_wallet_id and c.limit_id = p_limit_id;
  if not exists (select from baseledger.limits l where l.wallet_id = p_wallet_id) then
    update baseledger.wallets w set limited = false where w.wallet_id = p_wallet_id;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.remove_limit is
  e'Removes a limit, with what it has counted and the amounts of its combinations. Set again under '
  'the same name, it counts from then on. The key is optional: a retry with the same key gets the '
  'first receipt; each call without one is an event. Refused with LGARG, LGWNF, LGIDK.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.remove_limit from public;
grant execute on function baseledger.remove_limit to baseledger_operator;
