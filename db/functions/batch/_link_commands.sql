-- Links the commands of a batch that share a key or a reservation: sets key_at and hold_at. Names
-- belong to their wallet: p_wallet_of has that of each command; null if it is one for all.
create or replace function baseledger._link_commands(
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_link record;
begin
  for v_link in
    select l.place, nullif(l.first_of_key, l.place) as key_at,
        nullif(l.first_of_hold, l.place) as hold_at
      from (
        select c.place,
            -- Names that are null are equal here, but nobody looks them up.
            min(c.place) over (partition by c.wallet_id, c.idempotency_key) as first_of_key,
            min(c.place) over (partition by c.wallet_id, c.reservation_id) as first_of_hold
          from (
            select p_wallet_of[u.ordinality] collate "C" as wallet_id,
                u.idempotency_key collate "C", u.reservation_id collate "C",
                u.ordinality::integer as place
              from unnest(p_commands) with ordinality as u
          ) as c
      ) as l
      where l.first_of_key < l.place or l.first_of_hold < l.place
  loop
    p_commands[v_link.place].key_at := v_link.key_at;
    p_commands[v_link.place].hold_at := v_link.hold_at;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._link_commands from public;
