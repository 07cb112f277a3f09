-- Of each reservation that is due, the position of the first asked command that names it, or null.
-- p_places has the place of its wallet in p_locked, p_wallet_ids the wallet of each command.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._link_due(
  p_due baseledger._hold[],
  p_places integer[],
  p_locked baseledger._locked_wallet[],
  p_commands baseledger._command[],
  p_wallet_ids text[]
)
returns integer[]
language plpgsql
stable
set enable_nestloop = off
as $$
begin
  return (
    select array_agg(c.position order by d.ordinality)
      from (
        select h.ordinality, h.reservation_id, p_locked[p_places[h.ordinality]].wallet_id
          from unnest(p_due) with ordinality as h
      ) as d
      left join (
        select p_wallet_ids[u.ordinality] as wallet_id, u.reservation_id,
            min(u.ordinality)::integer as position
          from unnest(p_commands) with ordinality as u
          group by 1, 2
      ) as c on c.wallet_id = d.wallet_id and c.reservation_id = d.reservation_id
  );
end
$$;

revoke all on function baseledger._link_due from public;
