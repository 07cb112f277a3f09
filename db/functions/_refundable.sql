-- What a reservation has settled so far and not had refunded.
create or replace function baseledger._refundable(p_wallet_id text, p_reservation_id text)
returns numeric
language plpgsql
stable
as $$
declare
  v_net numeric;
begin
  select sum(case e.event when 'refunded' then -e.amount else e.amount end) into v_net
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.reservation_id = p_reservation_id
      and e.event in ('settled', 'charged', 'refunded');
  return coalesce(v_net, 0);
end
$$;

revoke all on function baseledger._refundable from public;
