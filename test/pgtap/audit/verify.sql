-- verify: proves the ledger, or returns the discrepancies.
begin;
select plan(131);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'a ledger without wallets is sound');

-- A ledger with every kind of event.
set local role baseledger_operator;
do $$
begin
  perform baseledger.open_wallet('w', p_overdraft_limit => 500, p_metadata => '{"team": 7}');  -- 1
  perform baseledger.credit('w', 1000, 'c', '{"invoice": 1}');                                 -- 2
  perform baseledger.reserve('w', 100, 'r', '10 hours');                                       -- 3
  perform baseledger.settle('w', 'r', 30, 's1', false);                                        -- 4
  perform baseledger.extend('w', 'r', '20 hours', 'e', 90);                                    -- 5
  perform baseledger.settle('w', 'r', 100, 's2');                                              -- 6
  perform baseledger.charge('w', 50, 'charge');                                                -- 7
  perform baseledger.refund('w', 'charge', 20, 'f');                                           -- 8
  perform baseledger.freeze_wallet('w', 'a test');                                             -- 9
  perform baseledger.unfreeze_wallet('w', 'a test');                                           -- 10
  perform baseledger.reserve('w', 100, 'late', '1 hour');                                      -- 11
  perform tap.wallet('x', 100);
  perform baseledger.transfer('w', 'x', 70, 't1');                                             -- 12
  perform baseledger.transfer('x', 'w', 10, 't1');                                             -- 13
  perform tap.travel_back('w', '2 hours');
  perform baseledger.settle('w', 'late', 20, 's3');                                       -- 14, 15
  perform baseledger.withdraw('w', 1, 'out');                                                  -- 16
  perform baseledger.reserve('w', 100, 'gone');                                                -- 17
  perform baseledger.cancel('w', 'gone', 'back');                                              -- 18
  perform baseledger.reserve('w', 100, 'open', '5 hours');                                     -- 19
  perform baseledger.settle('w', 'open', 40, 's4', false);                                     -- 20
  perform baseledger.refund('w', 'open', 1, 'f2');                                             -- 21
  perform tap.wallet('y');
end
$$;

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'a ledger written by commands is sound');
select is_empty($$select * from baseledger.verify('w')$$, 'a single wallet is sound');
select changes_nothing('select * from baseledger.verify()', 'it writes nothing');

set local role baseledger_operator;
do $$
begin
  perform tap.travel_back('w', '20 hours');
  perform tap.travel_back('w', '-19 hours');
end
$$;
set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()',
  'a wallet that a test has moved in time is sound');
select is(tap.balances('w'), '660/60/219', 'moving a wallet in time does not change its balance');

-- Tampers, records what verify finds in the ledger (or in one wallet), and undoes it. p_rehash
-- recomputes the hash chain of w, which whoever can edit can do as well.
create function pg_temp.found(p_tamper text, p_rehash boolean, p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
as $$
declare
  v_found baseledger.discrepancy[];
begin
  begin
    perform tap.tamper(p_tamper);
    if p_rehash then
      perform tap.rehash('w');
    end if;
    select array_agg(v) into v_found from baseledger.verify(p_wallet_id) as v;
    raise exception using errcode = 'TAP00';
  exception
    when sqlstate 'TAP00' then
      null;
  end;
  return query select * from unnest(v_found);
end
$$;

-- Compares wallet, event and check of each discrepancy: verify of the ledger finds all of them,
-- verify of one wallet those of that wallet.
create function pg_temp.finds(
  p_tamper text, p_found text[], p_name text, p_rehash boolean default false
)
returns text
language sql
as $$
  select tap.is(
    jsonb_object_agg(
      scope, (
        select jsonb_agg(f order by f)
          from pg_temp.found(p_tamper, p_rehash, w.id) as v
          cross join lateral
            format('%s %s %s', v.wallet_id, coalesce(v.seq::text, '-'), v."check") as f
      )
    ),
    jsonb_object_agg(
      scope, (
        select jsonb_agg(f order by f)
          from unnest(p_found) as f
          where w.id is null or split_part(f, ' ', 1) = w.id
      )
    ),
    p_name
  )
  from (values ('ledger', null), ('w', 'w'), ('x', 'x')) as w(scope, id)
  -- verify of a deleted wallet is refused
  where w.id is null or p_tamper !~ 'delete from baseledger.wallets' or w.id <> 'w'
$$;

-- The hash chain covers every column of every event ---------------------------------------------

select pg_temp.finds(
  format('update baseledger.events set %s where wallet_id = %L and seq = %s', c.edit, 'w', c.seq),
  array[format('w %s hash', c.seq)], 'edited: ' || c.edit
) from (values
  (2, $$metadata = '{"invoice": 2}'$$),
  (2, $$metadata = '{"invoice": 1.0}'$$),
  (2, $$actor = 'nobody'$$),
  (2, $$idempotency_key = 'd'$$),
  (2, $$idempotency_key = null$$),
  (2, $$occurred_at = occurred_at + interval '1 microsecond'$$),
  (2, $$details = '{}'$$),
  (2, $$expires_at = occurred_at$$),
  (9, $$details = '{"reason": "another"}'$$),
  (9, $$event = 'unfrozen'$$)
) as c(seq, edit);

select pg_temp.finds(
  $$update baseledger.events set hash = sha256('x') where wallet_id = 'w' and seq = 5$$,
  array['w 5 hash', 'w 6 hash'], 'edited: a hash, which breaks the next one too'
);
select pg_temp.finds(
  $$update baseledger.events set hash = sha256('x') where wallet_id = 'w' and seq = 21$$,
  array['w 21 hash', 'w 21 wallet'], 'edited: the last hash, which is the head of the chain'
);
select pg_temp.finds(
  $$update baseledger.events a set idempotency_key = b.idempotency_key || ' ', actor = 'x'
    from baseledger.events b
    where a.wallet_id = 'w' and a.seq = 2 and b.wallet_id = 'w' and b.seq = 3$$,
  array['w 2 hash'], 'edited: the key, and the actor'
);

-- Removed, added, reordered ---------------------------------------------------------------------

select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq = 9$$,
  array['w 10 hash', 'w 10 seq'], 'removed: an event'
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq = 9;
    update baseledger.events set seq = seq + 1000 where wallet_id = 'w' and seq > 9;
    update baseledger.events set seq = seq - 1001 where wallet_id = 'w' and seq > 9$$,
  array['w 21 wallet', 'w 11 transfer', 'x 3 transfer'],
  'removed: an event, with the others renumbered and the chain recomputed', true
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq = 1$$,
  array['w 2 hash', 'w 2 seq', 'w 1 terms'], 'removed: the first event'
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq = 21$$,
  array['w 21 wallet'], 'removed: the last event'
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq > 19;
    update baseledger.wallets w
      set (seq, available, reserved, spent, hash, last_event_at) =
        (select e.seq, e.available, e.reserved, e.spent, e.hash, e.occurred_at
          from baseledger.events e where e.wallet_id = 'w' and e.seq = 19)
      where w.wallet_id = 'w'$$,
  array['w 19 open reservation', 'w 19 reserved'],
    'removed: the last two events, with the wallet''s row adjusted'
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w' and seq > 12$$,
  array['w 21 wallet', 'w 11 open reservation', 'w - open reservation', 'x 4 transfer'],
  'removed: all events after the 12th'
);
select pg_temp.finds(
  $$delete from baseledger.events where wallet_id = 'w'$$,
  array['w 21 wallet', 'w 1 terms', 'w - open reservation', 'x 3 transfer', 'x 4 transfer'],
  'removed: all events of a wallet'
);
select pg_temp.finds(
  $$update baseledger.events set seq = 1000 where wallet_id = 'w' and seq = 9;
    update baseledger.events set seq = 9 where wallet_id = 'w' and seq = 10;
    update baseledger.events set seq = 10 where wallet_id = 'w' and seq = 1000$$,
  array['w 9 hash', 'w 10 hash', 'w 10 time', 'w 11 hash', 'w 10 frozen'],
  'reordered: two events'
);
select pg_temp.finds(
  $$update baseledger.events set wallet_id = 'y', seq = 2
      where wallet_id = 'w' and seq = 21$$,
  array['w 21 wallet', 'y 2 hash', 'y 2 balances', 'y 2 reservation',
    'y 2 time', 'y 1 wallet'],
  'moved: an event to another wallet'
);

-- An event forged at the end of the journal, with the wallet's row adjusted.
create function pg_temp.forged(
  p_event text, p_reservation_id text, p_amount bigint, p_available bigint, p_reserved bigint,
  p_spent bigint, p_details text default null
)
returns text
language sql
as $$
  select format(
    'insert into baseledger.events (wallet_id, seq, event, reservation_id, amount, available,
        reserved, spent, occurred_at, actor, metadata, details, hash)
      select wallet_id, seq + 1, %L, %L, %L, available + %s, reserved + %s, spent + %s,
          occurred_at + interval ''1 second'', ''postgres'', ''{}'', %L, sha256(hash)
        from baseledger.events where wallet_id = ''w'' and seq = 21;
    update baseledger.wallets w
      set (seq, available, reserved, spent, last_event_at) =
        (select e.seq, e.available, e.reserved, e.spent, e.occurred_at
          from baseledger.events e where e.wallet_id = ''w'' and e.seq = 22)
      where w.wallet_id = ''w''',
    p_event, p_reservation_id, p_amount, p_available, p_reserved, p_spent, p_details
  )
$$;
select pg_temp.finds(
  pg_temp.forged('credited', null, 1000, 1000, 0, 0),
  array['w 22 hash', 'w 22 wallet'], 'added: an event without its hash'
);
select pg_temp.finds(
  pg_temp.forged('credited', null, 1000, 1000, 0, 0)
    || $$; update baseledger.wallets set seq = 21 where wallet_id = 'w'$$,
  array['w 21 wallet'], 'added: an event that the wallet''s row does not have', true
);
select pg_temp.finds(
  pg_temp.forged('credited', null, 1000, 1000, 0, 0), null,
  'a complete forgery is not found: it takes a head of the chain that is kept elsewhere', true
);

-- Balances recomputed from the events -----------------------------------------------------------
-- From here on the chain is recomputed after each edit, which whoever can edit can do as well.

select pg_temp.finds(
  format('update baseledger.events set %s where wallet_id = %L and seq = %s', c.edit, 'w', c.seq),
  c.found, format('event %s with %s', c.seq, c.edit), true
) from (values
  (2, 'amount = 1001', array['w 2 balances']),
  (2, 'amount = null', array['w 2 balances']),
  (2, 'available = available + 1', array['w 2 balances', 'w 3 balances']),
  (2, 'reserved = reserved + 1', array['w 2 balances', 'w 3 balances', 'w 6 balances']),
  (2, 'spent = spent + 1', array['w 2 balances', 'w 3 balances']),
  (3, 'amount = 101', array['w 3 balances']),
  (4, 'amount = 31', array['w 4 balances']),
  (4, $$details = null$$, array['w 4 balances', 'w 4 reservation']),
  (4, $$details = '{"late": true, "final": false}'$$, array['w 4 balances', 'w 4 reservation']),
  (5, 'amount = -10', array['w 5 balances']),
  (6, 'amount = 90', array['w 6 balances']),
  (6, $$details = '{"final": false}'$$, array['w 6 reservation']),
  (7, 'amount = 51', array['w 7 balances']),
  (8, 'amount = 21', array['w 8 balances']),
  (12, 'amount = 71', array['w 12 balances', 'w 12 transfer', 'x 3 transfer']),
  (13, 'amount = 11', array['w 13 balances', 'w 13 transfer', 'x 4 transfer']),
  (14, 'amount = 101', array['w 14 reservation']),
  (15, 'amount = 21', array['w 15 balances']),
  (16, 'amount = 2', array['w 16 balances']),
  (18, 'amount = 99', array['w 18 reservation'])
) as c(seq, edit, found);

create temp table y as
  select format(', reserved 0, spent 0, at %s, hash %s', occurred_at, encode(hash, 'hex')) as rest
    from baseledger.journal where wallet_id = 'y';
select is(
  array_agg(to_jsonb(v) order by v."check"),
  array[
    jsonb_build_object('wallet_id', 'y', 'seq', 1, 'check', 'balances',
      'expected', 'available 0, reserved 0, spent 0', 'found', 'available 5, reserved 0, spent 0'),
    jsonb_build_object('wallet_id', 'y', 'seq', 1, 'check', 'wallet',
      'expected', 'seq 1, available 5' || (select rest from y),
      'found', 'seq 1, available 0' || (select rest from y))
  ],
  'a discrepancy states what the journal implies and what was found'
) from pg_temp.found(
    $$update baseledger.events set available = 5 where wallet_id = 'y'$$, false
  ) as v
  where v."check" <> 'hash';

-- Times, and the order of events of a reservation -----------------------------------------------

select pg_temp.finds(
  $$update baseledger.events a set occurred_at = b.occurred_at from baseledger.events b
    where a.wallet_id = 'w' and a.seq = 10 and b.wallet_id = 'w' and b.seq = 9$$,
  array['w 10 time'], 'edited: an event has the time of the one before it', true
);
select pg_temp.finds(
  $$update baseledger.events a set occurred_at = b.occurred_at - interval '1 microsecond'
    from baseledger.events b
    where a.wallet_id = 'w' and a.seq = 10 and b.wallet_id = 'w' and b.seq = 9$$,
  array['w 10 time'], 'edited: an event is older than the one before it', true
);

-- The deadline of an event, moved to the time of a later one.
create function pg_temp.deadline(p_seq bigint, p_to bigint, p_by text default '0')
returns text
language sql
as $$
  select format(
    'update baseledger.events a set expires_at = b.occurred_at + %L::interval
      from baseledger.events b
      where a.wallet_id = ''w'' and a.seq = %s and b.wallet_id = ''w'' and b.seq = %s',
    p_by, p_seq, p_to
  )
$$;
select pg_temp.finds(c.tamper, c.found, 'found: ' || c.name, true) from (values
  ('settled at its deadline', pg_temp.deadline(5, 6), array['w 6 reservation']),
  ('extended at its deadline', pg_temp.deadline(4, 5), array['w 5 reservation']),
  ('cancelled at its deadline', pg_temp.deadline(17, 18), array['w 18 reservation']),
  ('reserved with a deadline that had passed', pg_temp.deadline(17, 17),
    array['w 17 reservation', 'w 18 reservation']),
  ('expired before its deadline',
    pg_temp.deadline(11, 14, '1 microsecond') || ';' || pg_temp.deadline(14, 14, '1 microsecond'),
    array['w 14 reservation']),
  ('expired by another deadline', pg_temp.deadline(14, 13), array['w 14 reservation'])
) as c(name, tamper, found);
select pg_temp.finds(
  pg_temp.deadline(11, 14) || ';' || pg_temp.deadline(14, 14), null,
  'an expiry at its deadline is sound', true
);

select pg_temp.finds(
  c.tamper, array['w 22 reservation'] || c.more, 'found: ' || c.name, true
) from (values
  ('settled twice', pg_temp.forged('settled', 'r', 0, 0, 0, 0), null::text[]),
  ('settled after it was cancelled', pg_temp.forged('settled', 'gone', 0, 0, 0, 0), null),
  ('settled again after a charge', pg_temp.forged('settled', 'charge', 0, 0, 0, 0), null),
  ('settled, never reserved', pg_temp.forged('settled', 'never', 0, 0, 0, 0), null),
  ('settled late, but open', pg_temp.forged('settled', 'open', 0, 0, 0, 0, '{"late": true}'),
    array['w - open reservation']),
  ('settled late twice', pg_temp.forged('settled', 'late', 0, 0, 0, 0, '{"late": true}'), null),
  ('cancelled after it was settled', pg_temp.forged('cancelled', 'r', 0, 0, 0, 0), null),
  ('cancelled, never reserved', pg_temp.forged('cancelled', 'never', 0, 0, 0, 0), null),
  ('cancelled after it has expired', pg_temp.forged('cancelled', 'late', 0, 0, 0, 0), null),
  ('expired after it was cancelled', pg_temp.forged('expired', 'gone', 0, 0, 0, 0), null),
  ('extended after it was settled', pg_temp.forged('extended', 'r', 0, 0, 0, 0), null),
  ('extended after it has expired', pg_temp.forged('extended', 'late', 0, 0, 0, 0), null),
  ('charged twice', pg_temp.forged('charged', 'charge', 1, -1, 0, 1), null),
  ('charged, but reserved', pg_temp.forged('charged', 'r', 1, -1, 0, 1), null),
  ('refunded more than was charged', pg_temp.forged('refunded', 'charge', 31, 31, 0, -31), null),
  ('refunded more than was settled', pg_temp.forged('refunded', 'late', 21, 21, 0, -21), null),
  ('refunded, never reserved', pg_temp.forged('refunded', 'never', 1, 1, 0, -1), null),
  ('credited to a reservation', pg_temp.forged('credited', 'r', 1, 1, 0, 0), null),
  ('withdrawn from a reservation', pg_temp.forged('withdrawn', 'r', 1, -1, 0, 0), null)
) as c(name, tamper, more);
select pg_temp.finds(
  pg_temp.forged('reserved', 'r', 0, 0, 0, 0)
    || $$; update baseledger.events set expires_at = occurred_at + interval '1 hour'
      where wallet_id = 'w' and seq = 22$$,
  array['w 22 reservation'], 'found: reserved twice', true
);
select pg_temp.finds(
  pg_temp.forged('refunded', 'charge', 30, 30, 0, -30), null,
  'a refund of all that is left is sound', true
);

select pg_temp.finds(c.tamper, array['w 22 funds'], 'found: ' || c.name, true) from (values
  ('withdrawn below zero', pg_temp.forged('withdrawn', null, 661, -661, 0, 0)),
  ('charged below zero', pg_temp.forged('charged', 'new', 661, -661, 0, 661))
) as c(name, tamper);
select pg_temp.finds(
  pg_temp.forged('withdrawn', null, 660, -660, 0, 0), null, 'a withdrawal to zero is sound', true
);

-- A wallet's row --------------------------------------------------------------------------------

select pg_temp.finds(
  format('update baseledger.wallets set %s where wallet_id = %L', c.edit, 'w'), c.found,
  'edited: a wallet''s ' || c.edit
) from (values
  ('available = available + 1', array['w 21 wallet']),
  ('reserved = reserved - 1', array['w 21 wallet', 'w 21 reserved']),
  ('spent = spent + 1', array['w 21 wallet']),
  ('seq = 22', array['w 22 wallet']),
  ('seq = 20', array['w 20 wallet']),
  ($$hash = sha256('x')$$, array['w 21 wallet']),
  ($$last_event_at = last_event_at + interval '1 microsecond'$$, array['w 21 wallet']),
  ($$unit = 'EUR'$$, array['w 1 terms']),
  ('scale = 2', array['w 1 terms']),
  ('overdraft_limit = 501', array['w 1 terms']),
  ('overdraft_limit = null', array['w 1 terms']),
  ('frozen = true', array['w 10 frozen']),
  ('next_deadline = null', array['w - next deadline']),
  ($$next_deadline = next_deadline + interval '10 hours'$$, array['w - next deadline']),
  ($$next_deadline = next_deadline - interval '10 hours'$$, null),
  ($$next_deadline = '-infinity'$$, null)
) as c(edit, found);
select pg_temp.finds($$update baseledger.wallets set frozen = true where wallet_id = 'y'$$,
  array['y - frozen'], 'edited: frozen without an event');
select pg_temp.finds(
  $$update baseledger.events set details = details || '{"overdraft_limit": 400}'
    where wallet_id = 'w' and seq = 1$$,
  array['w 1 terms'], 'edited: the terms in the journal', true
);
select pg_temp.finds($$delete from baseledger.wallets where wallet_id = 'w'$$,
  array['w 1 orphan'], 'removed: a wallet, but not its events');
select is(
  array(
    select format('%s %s %s', wallet_id, seq, "check")
      from pg_temp.found('delete from baseledger.wallets', false) order by 1
  ),
  array['w 1 orphan', 'x 1 orphan', 'y 1 orphan'], 'removed: all wallets'
);

-- Open reservations -----------------------------------------------------------------------------

select pg_temp.finds(c.tamper, c.found, 'found: ' || c.name) from (values
  ('an open reservation removed', $$delete from baseledger.reservations$$,
    array['w 21 open reservation', 'w 21 reserved']),
  ('an open reservation added', $$insert into baseledger.reservations
    values ('w', 'r', 10, 10, 0, 'infinity')$$,
    array['w - open reservation']),
  ('an open reservation added, with a hold', $$insert into baseledger.reservations
    values ('w', 'never', 10, 0, 10, '2000-01-01')$$,
    array['w - open reservation', 'w 21 reserved', 'w - next deadline']),
  ('an open reservation added to a wallet that has none', $$insert into baseledger.reservations
    values ('y', 'never', 10, 10, 0, '2000-01-01')$$,
    array['y - open reservation', 'y - next deadline']),
  ('another amount of an open reservation', $$update baseledger.reservations
    set amount = amount - 1$$,
    array['w 21 open reservation']),
  ('another settled sum of an open reservation', $$update baseledger.reservations
    set settled = settled + 1$$,
    array['w 21 open reservation']),
  ('another hold of an open reservation', $$update baseledger.reservations set held = held + 1$$,
    array['w 21 open reservation', 'w 21 reserved']),
  ('a later deadline', $$update baseledger.reservations
    set expires_at = expires_at + interval '1 microsecond'$$, array['w 21 open reservation']),
  ('an earlier deadline', $$update baseledger.reservations
    set expires_at = expires_at - interval '10 hours'$$,
    array['w 21 open reservation', 'w - next deadline'])
) as c(name, tamper, found);
select pg_temp.finds(
  $$update baseledger.events set expires_at = expires_at + interval '1 hour'
    where wallet_id = 'w' and seq = 21$$,
  array['w 21 open reservation'], 'edited: the deadline in the journal', true
);

-- Transfers have two sides ----------------------------------------------------------------------

select pg_temp.finds(c.tamper, c.found, 'found: ' || c.name, true) from (values
  ('sent to another wallet', $$update baseledger.events set details = '{"to": "y"}'
    where wallet_id = 'w' and seq = 12$$, array['w 12 transfer', 'x 3 transfer']),
  ('received from another event', $$update baseledger.events
    set details = '{"from": "x", "from_seq": 3}' where wallet_id = 'w' and seq = 13$$,
    array['w 13 transfer', 'x 4 transfer']),
  ('received from another wallet', $$update baseledger.events
    set details = '{"from": "y", "from_seq": 4}' where wallet_id = 'w' and seq = 13$$,
    array['w 13 transfer', 'x 4 transfer']),
  ('received, but recorded as a credit', $$update baseledger.events
    set event = 'credited', details = null where wallet_id = 'w' and seq = 13$$,
    array['x 4 transfer']),
  ('sent, but recorded as a withdrawal', $$update baseledger.events
    set event = 'withdrawn', details = null where wallet_id = 'w' and seq = 12$$,
    array['x 3 transfer']),
  ('received without a sender', pg_temp.forged('transferred_in', null, 10, 10, 0, 0,
    '{"from": "x", "from_seq": 2}'), array['w 22 transfer']),
  ('sent without a receiver', pg_temp.forged('transferred_out', null, 10, -10, 0, 0,
    '{"to": "nobody"}'), array['w 22 transfer'])
) as c(name, tamper, found);
select pg_temp.finds(
  $$update baseledger.events set event = 'withdrawn' where wallet_id = 'x' and seq = 4$$,
  array['x 4 hash', 'w 13 transfer'],
    'edited: the other side of a transfer recorded as a withdrawal'
);

-- A large ledger is read in portions ------------------------------------------------------------
-- 45,000 wallets are more than two portions.

select is_empty('select * from baseledger.verify()',
  'the ledger is sound after all edits are undone');
select lives_ok($$
  select tap.tamper('
    with opened as (
      select ''many '' || to_char(n, ''FM00000'') as id, clock_timestamp() as at,
          ''{"unit": "USD", "scale": 9, "overdraft_limit": null}''::jsonb as terms
        from generate_series(1, 45000) as s(n)
    ),
    hashed as (
      select *, sha256(decode(repeat(''00'', 32), ''hex'') || baseledger._encode_event(
            id, 1, ''opened'', null, null, 0, 0, 0, null, at, null, ''postgres'', ''{}'', terms
          )) as hash
        from opened
    ),
    written as (
      insert into baseledger.events (wallet_id, seq, event, available, reserved, spent, occurred_at,
          actor, metadata, details, hash)
        select id, 1, ''opened'', 0, 0, 0, at, ''postgres'', ''{}'', terms, hash from hashed
    )
    insert into baseledger.wallets (wallet_id, unit, scale, seq, hash, last_event_at)
      select id, ''USD'', 9, 1, hash, at from hashed
  ')
$$, '45,000 wallets are made');
select is_empty('select * from baseledger.verify()', 'a ledger of several portions is sound');
select pg_temp.finds(
  $$update baseledger.events set actor = 'x'
      where wallet_id in ('many 00001', 'many 19999', 'many 20000', 'many 20001', 'many 39999',
        'many 40000', 'many 40001', 'many 45000', 'x') and seq = 1;
    delete from baseledger.wallets where wallet_id in ('many 20002', 'many 35000', 'y');
    insert into baseledger.events select (jsonb_populate_record(e, '{"wallet_id": "before"}')).*
      from baseledger.events e where e.wallet_id = 'y';
    insert into baseledger.events select (jsonb_populate_record(e, '{"wallet_id": "zz"}')).*
      from baseledger.events e where e.wallet_id = 'y';
    insert into baseledger.events
      select (jsonb_populate_record(e, '{"wallet_id": "many 20000a"}')).*
        from baseledger.events e where e.wallet_id = 'y'$$,
  array['many 00001 1 hash', 'many 19999 1 hash', 'many 20000 1 hash', 'many 20001 1 hash',
    'many 39999 1 hash', 'many 40000 1 hash', 'many 40001 1 hash', 'many 45000 1 hash', 'x 1 hash',
    'many 20002 1 orphan', 'many 35000 1 orphan', 'y 1 orphan', 'before 1 orphan',
    'before 1 hash', 'zz 1 orphan', 'zz 1 hash', 'many 20000a 1 orphan', 'many 20000a 1 hash'],
  'discrepancies are found in every portion, at its ends and between portions'
);

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, c.code, c.detail::jsonb, 'refused: ' || c.name) from (values
  ('an empty id', $$verify('')$$, 'LGARG', '{"field": "wallet_id"}'),
  ('a blank id', $$verify(' ')$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an id of 256', $$verify(repeat('x', 256))$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an unknown wallet', $$verify('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}')
) as c(name, call, code, detail);

select * from finish();
rollback;
