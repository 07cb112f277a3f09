-- Looks up a command's key and its reservation: the event that was written for the key, and the
-- reservation as far as one look-up shows it. A reservation that is to be opened is looked for in
-- the journal, any other among the open ones; one that is not there gets the status unknown,
-- until a command needs it and _find_reservation looks for it.
--
-- Each look-up asks for a range of one value in the order of its index; as _execute has sorts off,
-- no statistics can make the planner walk a wallet's history through another index instead. A SQL
-- function without settings, so that it is inlined into _execute.
create or replace function baseledger._look_up(
  p_wallet_id text,
  p_idempotency_key text,
  p_reservation_id text,
  p_opens boolean
)
returns table (
  done bigint,
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored tid,
  net bigint
)
language sql
stable
as $$
  select
      (
        select e.seq from baseledger.events e
          where e.wallet_id = p_wallet_id
            and e.idempotency_key between p_idempotency_key and p_idempotency_key
          order by e.idempotency_key
          limit 1
      ),
      p_reservation_id,
      case
        when o.held is not null then 'open'
        when not p_opens or (
          select e.seq from baseledger.events e
            where e.wallet_id = p_wallet_id
              and e.reservation_id between p_reservation_id and p_reservation_id
            order by e.reservation_id
            limit 1
        ) is not null then 'unknown'
        else 'none'
      end,
      o.amount, o.settled, o.held, o.expires_at, o.ctid, 0::bigint
    from (values (p_reservation_id)) as asked(id)
    left join lateral (
      select r.amount, r.settled, r.held, r.expires_at, r.ctid from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.reservation_id between asked.id and asked.id
          and not p_opens
        order by r.reservation_id
        limit 1
    ) as o on true
$$;

revoke all on function baseledger._look_up from public;
