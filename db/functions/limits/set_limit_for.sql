-- Sets or takes back one combination's own amount. Locks the wallet's row. What the event may still
-- be refused for is looked at after it was written, so that a retry gets its receipt whatever has
-- changed since.
create or replace function baseledger.set_limit_for(
  p_wallet_id text,
  p_limit_id text,
  p_values text[],
  p_amount bigint,
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
  v_values text[];
  v_limit baseledger.limits;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_limit_for(text,text,text[],bigint,text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('limit_id', p_limit_id);
  if p_values is null
    or array_ndims(p_values) > 1
    or cardinality(p_values) not between 1 and 4
    or exists (
      select from unnest(p_values) as v (value)
        where v.value is null or octet_length(v.value) > 255
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('values'));
  end if;
  if p_amount < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amount'));
  end if;
  -- As a list that begins at 1.
  v_values := array(
    select v.value from unnest(p_values) with ordinality as v (value, n) order by v.n
  );
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_set_for', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('limit_id', p_limit_id, 'values', v_values, 'amount', p_amount)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  elsif cardinality(v_values) <> cardinality(v_limit."by") then
    perform baseledger._raise('LGARG', baseledger._describe_argument('values'));
  end if;
  update baseledger.counters c
    set own_amount = p_amount
    where c.wallet_id = p_wallet_id
      and c.limit_id = p_limit_id
      and c.label_values = v_values;
  if not found and p_amount is not null then
    -- What there is no counter of has spent nothing. Without a window, as the one on record may
    -- have come back: its next command looks.
    insert into baseledger.counters (
        wallet_id, limit_id, label_values, own_amount, spent, held, starts_at, ends_at
      )
      values (
        p_wallet_id, p_limit_id, v_values, p_amount, 0, 0, '-infinity',
        case v_limit.per when 'ever' then timestamptz 'infinity' else '-infinity' end
      );
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.set_limit_for is
  e'Gives one combination of values of a limit''s labels an amount of its own, in place of the '
  'limit''s; null takes it back. What it has used counts on. The key is optional: a retry with the '
  'same key gets the first receipt; each call without one is an event. Refused with LGARG, LGWNF, '
  'LGIDK, LGCLO.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_values: A value for each label of the limit, in its order; the empty text is the value of '
  'whatever has no such label.'
  '\np_amount: As in set_limit; null = that of the limit. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_limit_for from public;
grant execute on function baseledger.set_limit_for to baseledger_operator;
