-- Looks up what has become of a command. Takes no lock; a stable function has one snapshot.
create or replace function baseledger.receipt(p_wallet_id text, p_idempotency_key text)
returns setof baseledger.receipt
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_restricted boolean;
  v_event baseledger.events;
begin
  select w.restricted into v_restricted
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  perform baseledger._require_id('idempotency_key', p_idempotency_key);
  select * into v_event
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.idempotency_key between p_idempotency_key and p_idempotency_key
    order by e.idempotency_key
    limit 1;
  if found and (
    not v_restricted
    or baseledger._owns_key(
      p_wallet_id, baseledger._find_reader(p_wallet_id), p_idempotency_key
    )
  ) then
    return next row(
      v_event.wallet_id, v_event.seq, v_event.event, v_event.reservation_id, v_event.amount,
      v_event.available, v_event.reserved, v_event.spent, v_event.expires_at,
      v_event.occurred_at, v_event.idempotency_key, true, null, null
    )::baseledger.receipt;
  end if;
end
$$;

comment on function baseledger.receipt is
  e'What has become of a command: its receipt, as a retry would get it, or no row if none was '
  'carried out under this key (yet: an attempt whose answer was lost may still be under way), or '
  'none that the caller may see. Refused with LGARG, LGWNF.'
  '\np_idempotency_key: The caller''s name for the command.';
revoke all on function baseledger.receipt from public;
grant execute on function baseledger.receipt
  to baseledger_agent, baseledger_operator, baseledger_auditor;
