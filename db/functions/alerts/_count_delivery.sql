-- Counts a delivery that is about to be queued: how many of its limit and webhook were suppressed
-- before it, or null if it is to be suppressed as well, because there were enough in the last hour.
create or replace function baseledger._count_delivery(
  p_id baseledger.delivery_id,
  p_now timestamptz
)
returns bigint
language plpgsql
volatile
as $$
declare
  c_an_hour constant integer := 20;
  v_limit_id text;
  v_queued_at timestamptz[];
  v_suppressed bigint;
begin
  select coalesce(a.limit_id, '') into v_limit_id
    from baseledger.raised_alerts a
    where a.wallet_id = p_id.wallet_id and a.seq = p_id.seq and a.number = p_id.number;
  insert into baseledger.delivery_rates (wallet_id, webhook_id, limit_id, queued_at, suppressed)
    values (p_id.wallet_id, p_id.webhook_id, v_limit_id, '{}', 0)
    on conflict (wallet_id, webhook_id, limit_id) do nothing;
  -- Times after now were written while the clock was ahead.
  select array(
        select q from unnest(r.queued_at) as q
          where q > p_now - interval '1 hour' and q <= p_now
      ),
      r.suppressed
    into v_queued_at, v_suppressed
    from baseledger.delivery_rates r
    where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
      and r.limit_id = v_limit_id
    for update;
  if cardinality(v_queued_at) >= c_an_hour then
    update baseledger.delivery_rates r set suppressed = v_suppressed + 1
      where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
        and r.limit_id = v_limit_id;
    return null;
  end if;
  update baseledger.delivery_rates r set queued_at = v_queued_at || p_now, suppressed = 0
    where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
      and r.limit_id = v_limit_id;
  return v_suppressed;
end
$$;

revoke all on function baseledger._count_delivery from public;
