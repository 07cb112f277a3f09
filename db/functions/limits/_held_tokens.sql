-- How many tokens a reservation holds, by the journal: those of its opening, less those that have
-- been settled in part; 0 if it is not open.
create or replace function baseledger._held_tokens(p_wallet_id text, p_reservation_id text)
returns bigint
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  perform from baseledger.reservations r
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;
  if not found then
    return 0;
  end if;
  return (
    select greatest(sum(
        case e.event when 'reserved' then 1 when 'settled' then -1 else 0 end
          * baseledger._count_tokens(e.details -> 'usage')
      ), 0)
      from baseledger.events e
      where e.wallet_id = p_wallet_id
        and e.reservation_id = p_reservation_id
  );
end
$$;

revoke all on function baseledger._held_tokens from public;
