-- Looks up the keys and the reservations of commands in several wallets, as _execute does for those
-- of one; p_wallet_of names the wallet of each.
create or replace function baseledger._look_up_several(
  p_commands baseledger._command[],
  p_wallet_of text[],
  out done bigint[],
  out holds baseledger._hold[]
)
language plpgsql
stable
as $$
begin
  select array_agg(p.done order by c.ordinality),
      array_agg(row(
        p.reservation_id, p.status, p.amount, p.settled, p.held, p.expires_at, p.stored, p.net,
        null, null, false
      )::baseledger._hold order by c.ordinality)
    into done, holds
    from unnest(p_commands) with ordinality as c
    cross join lateral baseledger._look_up(
      p_wallet_of[c.ordinality],
      case when c.key_at is null then c.idempotency_key end,
      case when c.hold_at is null then c.reservation_id end,
      c.op in ('reserve', 'charge')
    ) as p;
end
$$;

revoke all on function baseledger._look_up_several from public;
