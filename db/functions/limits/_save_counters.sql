-- Writes the counters that commands have changed, and the windows that have begun. Of a single
-- command that was not near any limit, p_op and so on say what it has done to all of them; else
-- they are null and 0.
create or replace function baseledger._save_counters(
  p_wallet_id text,
  p_counters baseledger._counter[],
  p_op text,
  p_spent bigint,
  p_reserved bigint,
  p_details jsonb
)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.counters (
      wallet_id, limit_id, label_values, spent, held, starts_at, ends_at, alerted
    )
    select p_wallet_id, c.limit_id, c.label_values,
        c.spent + baseledger._what_it_spends(c.of, p_op, p_spent, 0),
        c.held + baseledger._what_it_holds(c.of, p_op, p_reserved, p_details, 0),
        c.starts_at, c.ends_at, c.alerted
      from unnest(p_counters) as c
      where c.changed or p_op is not null and (p_op <> 'charge' or c.of <> 'open')
    on conflict (wallet_id, limit_id, label_values) do update
      set spent = excluded.spent,
        held = excluded.held,
        starts_at = excluded.starts_at,
        ends_at = excluded.ends_at,
        alerted = excluded.alerted;
  if p_op is null then
    update baseledger.limits l
      set starts_at = c.starts_at,
        ends_at = c.ends_at,
        counted_until = greatest(l.counted_until, c.ends_at)
      from (
        select distinct on (u.limit_id) u.limit_id, u.starts_at, u.ends_at
          from unnest(p_counters) as u
          where u.rolled and u.changed
          order by u.limit_id
      ) as c
      where l.wallet_id = p_wallet_id and l.limit_id = c.limit_id;
  end if;
end
$$;

revoke all on function baseledger._save_counters from public;
