-- Opens a wallet. A second opening finds the first and compares the terms.
create or replace function baseledger.open_wallet(
  p_wallet_id text,
  p_unit text default 'USD',
  p_scale integer default 9,
  p_overdraft_limit bigint default null,
  p_metadata jsonb default '{}',
  p_restricted boolean default false
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_terms jsonb := jsonb_build_object(
    'unit', p_unit, 'scale', p_scale, 'overdraft_limit', p_overdraft_limit
  ) || case when p_restricted then '{"restricted": true}' else '{}' end::jsonb;
  v_event baseledger.events;
  v_difference jsonb;
begin
  perform baseledger._require_operators_only(
    'baseledger.open_wallet(text,text,integer,bigint,jsonb,boolean)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('unit', p_unit);
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('scale'));
  end if;
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('overdraft_limit'));
  end if;
  if p_restricted is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('restricted'));
  end if;

  if baseledger._find_invalid_field(
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null, null
  ) is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('metadata'));
  end if;

  insert into baseledger.wallets
    (wallet_id, unit, scale, overdraft_limit, restricted, hash, last_event_at)
    values (
      p_wallet_id, p_unit, p_scale, p_overdraft_limit, p_restricted,
      decode(repeat('00', 32), 'hex'), '-infinity'
    )
    on conflict (wallet_id) do nothing;
  if found then
    -- One that was opened before this was a rule can be opened again.
    if baseledger._is_ambiguous_name(p_wallet_id) or baseledger._is_ambiguous_name(p_unit) then
      perform baseledger._raise('LGARG', baseledger._describe_argument(
        case when baseledger._is_ambiguous_name(p_wallet_id) then 'wallet_id' else 'unit' end
      ));
    end if;
    return baseledger._execute_single(p_wallet_id, baseledger._make_command(
      'open', null, p_metadata => p_metadata, p_details => v_terms
    ));
  end if;

  select * into v_event from baseledger.events e where e.wallet_id = p_wallet_id and e.seq = 1;
  v_difference := baseledger._compare_requests(
    '{"restricted": false}'::jsonb || v_event.details, '{"restricted": false}'::jsonb || v_terms
  );
  if v_difference is not null then
    perform baseledger._raise('LGIDK', v_difference);
  end if;
  return row(
    v_event.wallet_id, v_event.seq, v_event.event, null, v_event.amount, v_event.available,
    v_event.reserved, v_event.spent, null, v_event.occurred_at, null, true, null, null
  )::baseledger.receipt;
end
$$;

comment on function baseledger.open_wallet is
  e'Opens a wallet for amounts counted in the smallest step of p_unit: p_scale (0 to 18) decimal '
  'digits, so 9 for USD means nano-dollars. Settlements may take available down to '
  '-p_overdraft_limit; null = without limit, 0 = never below zero. Any agent may use a wallet that '
  'is not restricted. Idempotent by id: opened again on the terms that it was first opened on, it '
  'returns the first receipt with replayed = true (metadata stays as it was). Refused with LGARG, '
  'and LGIDK when unit, scale, overdraft limit or p_restricted differ.'
  '\np_restricted: Whether only operators may use it, and those whom allow and create_key let.';
revoke all on function baseledger.open_wallet from public;
grant execute on function baseledger.open_wallet to baseledger_operator;
