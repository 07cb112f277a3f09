-- Changes a wallet's overdraft limit. Locks the wallet's row. The debt is looked at after the
-- event: what was due has then expired, but for a backlog.
create or replace function baseledger.set_overdraft_limit(
  p_wallet_id text,
  p_overdraft_limit bigint,
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
  v_receipt baseledger.receipt;
  v_available bigint;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_overdraft_limit(text,bigint,text,jsonb)'
  );
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('overdraft_limit'));
  end if;
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'overdraft_limit_set', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('overdraft_limit', p_overdraft_limit)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  if v_receipt.available < -p_overdraft_limit then
    v_available := v_receipt.available + baseledger._sum_backlog(
      p_wallet_id, baseledger._deadline_clock(clock_timestamp(), v_receipt.occurred_at)
    );
    if v_available < -p_overdraft_limit then
      perform baseledger._raise('LGOVD', jsonb_build_object(
        'requested', null, 'available', v_available, 'would_be', v_available,
        'overdraft_limit', p_overdraft_limit
      ));
    end if;
  end if;
  update baseledger.wallets w
    set overdraft_limit = p_overdraft_limit
    where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_overdraft_limit is
  e'Sets how far below zero settlements may take available: not above the debt that there is. The '
  'key is optional: a retry with the same key gets the first receipt; each call without one is an '
  'event. Refused with LGARG, LGWNF, LGIDK, LGOVD (available is below the new limit).'
  '\np_overdraft_limit: How far below zero; 0 = not at all, null = without limit. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_overdraft_limit from public;
grant execute on function baseledger.set_overdraft_limit to baseledger_operator;
