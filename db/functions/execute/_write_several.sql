-- Writes what _execute has decided in several wallets, but for their events: reservations, and each
-- wallet's row. p_wallet_of names the wallet of each hold.
create or replace function baseledger._write_several(
  p_wallets baseledger._locked_wallet[],
  p_holds baseledger._hold[],
  p_wallet_of text[]
)
returns void
language plpgsql
volatile
as $$
declare
  v_deadlines timestamptz[];
begin
  delete from baseledger.reservations r
    where r.ctid = any(array(select h.stored from unnest(p_holds) as h where h.changed));
  insert into baseledger.reservations
    (wallet_id, reservation_id, amount, settled, held, expires_at)
  select p_wallet_of[h.ordinality], h.reservation_id, h.amount, h.settled, h.held, h.expires_at
    from unnest(p_holds) with ordinality as h
    where h.changed and h.status = 'open';
  v_deadlines := baseledger._first_deadlines(p_wallets, p_holds, p_wallet_of);
  update baseledger.wallets w
    set available = u.available,
      reserved = u.reserved,
      spent = u.spent,
      seq = u.seq,
      hash = u.hash,
      last_event_at = u.last_event_at,
      next_deadline = case
        when u.swept then (
          select r.expires_at from baseledger.reservations r
            where r.wallet_id = u.wallet_id and r.expires_at < 'infinity'
            order by r.expires_at
            limit 1
        )
        else least(u.next_deadline, v_deadlines[u.ordinality])
      end
    from unnest(p_wallets) with ordinality as u
    where w.wallet_id = u.wallet_id;
end
$$;

revoke all on function baseledger._write_several from public;
