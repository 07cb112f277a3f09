-- What a reservation has settled so far and not had refunded.
create or replace function baseledger._sum_refundable(p_wallet_id text, p_reservation_id text)
returns numeric
language plpgsql
stable
as $$
declare
  v_net numeric;
begin
  select sum(case e.event when 'refunded' then -e.amount else e.amount end) into v_net
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select o.event, o.amount from baseledger.events o
        where o.wallet_id = p_wallet_id
          and o.reservation_id between p_reservation_id and p_reservation_id
          and o.event in ('settled', 'charged', 'refunded')
        order by o.reservation_id
        offset 0
    ) as e;
  return coalesce(v_net, 0);
end
$$;

revoke all on function baseledger._sum_refundable from public;
