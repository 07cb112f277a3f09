-- Makes the counters of a new limit for what is held when it is set: by the labels of the opening
-- of each open reservation, looked up by index.
create or replace function baseledger._count_held(p_wallet_id text, p_limit_id text)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.counters (
      wallet_id, limit_id, label_values, spent, held, starts_at, ends_at
    )
    select p_wallet_id, p_limit_id, h.label_values, 0, h.held, h.starts_at, h.ends_at
      from (
        select v.label_values, l.starts_at, l.ends_at,
            sum(case l.of
              when 'open' then 1
              when 'tokens' then baseledger._held_tokens(p_wallet_id, r.reservation_id)
              else r.held
            end) as held
          from baseledger.limits l
          join baseledger.reservations r on r.wallet_id = p_wallet_id
          left join lateral baseledger._find_opening(
            p_wallet_id, case when l.by <> '{}' then r.reservation_id end
          ) as o on true
          cross join lateral (
            select baseledger._label_values(o.labels, l.by) offset 0
          ) as v (label_values)
          where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id and l.of <> 'calls'
          group by v.label_values, l.starts_at, l.ends_at
      ) as h
      where h.held > 0;
end
$$;

revoke all on function baseledger._count_held from public;
