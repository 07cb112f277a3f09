-- What the reservations of a wallet hold that were due at an instant and are still in the table.
-- Reads all of them, so _execute asks only when a command lacks funds.
create or replace function baseledger._sum_backlog(p_wallet_id text, p_since timestamptz)
returns bigint
language plpgsql
stable
as $$
declare
  v_held numeric;
begin
  select sum(o.held) into v_held
    from (
      -- In the order of the index, for the planner's sake: see _execute.
      select r.held from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.expires_at <= p_since
          and r.expires_at < 'infinity'
        order by r.expires_at
        offset 0
    ) as o;
  return coalesce(v_held, 0);
end
$$;

revoke all on function baseledger._sum_backlog from public;
