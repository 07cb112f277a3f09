-- The first deadline of what was opened or extended in each of several wallets, in their order; null
-- where nothing was. p_wallet_of names the wallet of each hold.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._first_deadlines(
  p_wallets baseledger._locked_wallet[],
  p_holds baseledger._hold[],
  p_wallet_of text[]
)
returns timestamptz[]
language plpgsql
stable
set enable_nestloop = off
as $$
begin
  return (
    select array_agg(o.first order by u.ordinality)
      from unnest(p_wallets) with ordinality as u
      left join (
        select p_wallet_of[h.ordinality] as wallet_id, min(h.expires_at) as first
          from unnest(p_holds) with ordinality as h
          where h.changed and h.status = 'open'
          group by 1
      ) as o on o.wallet_id = u.wallet_id
  );
end
$$;

revoke all on function baseledger._first_deadlines from public;
