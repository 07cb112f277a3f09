-- Links the commands of a batch that share a key or a reservation: sets key_at and hold_at. Names
-- belong to their wallet: p_wallet_of has that of each command; null if it is one for all.
create or replace function baseledger._link_commands(
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger._command[]
language sql
stable
as $$
  select array_agg(row(
      l.op, l.idempotency_key, l.reservation_id, l.amount, l.at_least, l.ttl, l.final, l.metadata,
      l.details, l.due_at, l.refused, l.detail, nullif(l.first_of_key, l.place),
      nullif(l.first_of_hold, l.place)
    )::baseledger._command order by l.place)
    from (
      select c.*,
          -- Names that are null are equal here, but nobody looks them up.
          min(c.place) over (partition by c.wallet_id, c.idempotency_key collate "C")
            as first_of_key,
          min(c.place) over (partition by c.wallet_id, c.reservation_id collate "C")
            as first_of_hold
        from (
          select u.*, p_wallet_of[u.ordinality] collate "C" as wallet_id,
              u.ordinality::integer as place
            from unnest(p_commands) with ordinality as u
        ) as c
    ) as l
$$;

revoke all on function baseledger._link_commands from public;
