-- When the sweep has something to do next.
create or replace function baseledger.next_due()
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_next timestamptz;
begin
  select w.next_deadline into v_next
    from baseledger.wallets w
    where w.next_deadline is not null
    order by w.next_deadline
    limit 1;
  return v_next;
end
$$;

comment on function baseledger.next_due is
  'No open reservation of any wallet has an earlier deadline than this; null if none is open. May '
  'be too early, never too late: the worker sleeps until then.';
revoke all on function baseledger.next_due from public;
grant execute on function baseledger.next_due to baseledger_worker;
