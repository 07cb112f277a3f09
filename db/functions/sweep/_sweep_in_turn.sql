-- Sweeps one of the wallets in which nothing expired, as they were locked when the sweep came by: an
-- overdue one, drawn by lot.
-- Waits for its lock in the same queue as its callers' commands, so that it has its turn among
-- hundreds of them; but not for long, as others may be due, or the role's statement_timeout be
-- short.
create or replace function baseledger._sweep_in_turn(
  p_wallet_ids text[],
  p_now timestamptz,
  p_limit integer
)
returns integer
language plpgsql
volatile
set lock_timeout = '1500ms'
as $$
declare
  c_patience constant interval := '2 seconds';
  v_id text;
begin
  select w.wallet_id into v_id
    from baseledger.wallets w
    where w.wallet_id = any(p_wallet_ids)
      and w.next_deadline <= p_now - c_patience
    order by random()
    limit 1;
  if v_id is null then
    return 0;
  end if;
  perform from baseledger.wallets w
    where w.wallet_id = v_id
    for no key update;
  return baseledger._sweep_singly(array[v_id], p_limit);
exception
  when lock_not_available then
    return 0;
end
$$;

revoke all on function baseledger._sweep_in_turn from public;
