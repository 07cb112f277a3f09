-- Takes deliveries for which a job is to be queued: new ones, and those whose job was lost. Of one
-- limit and webhook at most so many an hour: the others are suppressed. Each is due again a minute
-- later, in case the worker that takes it dies before it has queued the job; a job that is queued
-- twice has the same key.
create or replace function baseledger.queue_deliveries(p_limit integer default 100)
returns setof baseledger.delivery_id
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_again constant timestamptz := v_now + interval '1 minute';
  v_id baseledger.delivery_id;
  v_suppressed bigint;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  for v_id in
    select d.wallet_id, d.seq, d.number, d.webhook_id
      from baseledger.deliveries d
      where d.state = 'pending' and d.due_at <= v_now
      order by d.due_at, d.wallet_id, d.seq
      limit p_limit
  loop
    select d.suppressed into v_suppressed
      from baseledger.deliveries d
      where d.wallet_id = v_id.wallet_id and d.seq = v_id.seq and d.number = v_id.number
        and d.webhook_id = v_id.webhook_id
        and d.state = 'pending' and d.due_at <= v_now
      for update skip locked;
    continue when not found;
    if v_suppressed is null then
      v_suppressed := baseledger._count_delivery(v_id, v_now);
    end if;
    update baseledger.deliveries d
      set suppressed = v_suppressed,
        state = case when v_suppressed is null then 'suppressed' else 'pending' end,
        due_at = v_again,
        ended_at = case when v_suppressed is null then v_now end
      where d.wallet_id = v_id.wallet_id and d.seq = v_id.seq and d.number = v_id.number
        and d.webhook_id = v_id.webhook_id;
    if v_suppressed is not null then
      return next v_id;
    end if;
  end loop;
end
$$;

comment on function baseledger.queue_deliveries is
  'For the worker: the next deliveries of alerts to webhooks, at most p_limit (1 to 100,000), for '
  'each of which it queues a job. Refused with LGARG.';
revoke all on function baseledger.queue_deliveries from public;
grant execute on function baseledger.queue_deliveries to baseledger_worker;
