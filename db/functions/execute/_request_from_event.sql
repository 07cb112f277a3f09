-- The request that an event was written for, in the form of _request_from_command. The amount is
-- the one granted, unless details record what was asked for.
create or replace function baseledger._request_from_event(
  p_event baseledger.event_type,
  p_reservation_id text,
  p_amount bigint,
  p_ttl interval,
  p_metadata jsonb,
  p_details jsonb
)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object(
    'op', case p_event
      when 'opened' then 'open'
      when 'credited' then 'credit'
      when 'withdrawn' then 'withdraw'
      when 'reserved' then 'reserve'
      when 'settled' then 'settle'
      when 'cancelled' then 'cancel'
      when 'extended' then 'extend'
      when 'charged' then 'charge'
      when 'refunded' then 'refund'
      when 'transferred_out' then 'transfer_out'
      when 'frozen' then 'freeze'
      when 'unfrozen' then 'unfreeze'
      -- Changes of who may use the wallet, or how, are commands of the event's name.
      else p_event::text
    end,
    'reservation_id', p_reservation_id,
    'amount', case
      when p_event = 'cancelled' or p_details -> 'usage' is not null then null
      when p_event = 'extended' then (p_details ->> 'hold')::bigint
      else coalesce((p_details ->> 'requested')::bigint, p_amount)
    end,
    'usage', p_details -> 'usage',
    'at_least', (p_details ->> 'at_least')::bigint,
    'ttl', case when p_event in ('reserved', 'extended')
      then pg_catalog.extract('epoch', p_ttl) end,
    'final', case when p_event = 'settled'
      then coalesce((p_details ->> 'final')::boolean, true) end,
    'to', p_details ->> 'to',
    'reason', p_details ->> 'reason',
    'already_spent', p_details -> 'already_spent',
    'metadata', p_metadata
  ) || case
    when baseledger._is_change(p_event::text)
      then p_details - (case
        when p_event = 'key_created' then '{key_id,secret_sha256,backlog,ahead_us}'
        else '{backlog,ahead_us}'
      end)::text[]
    else '{}'
  end
$$;

revoke all on function baseledger._request_from_event from public;
