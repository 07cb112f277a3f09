-- journal: the events, for auditors.
begin;
select plan(14);

set local role baseledger_operator;
do $$
begin
  perform baseledger.open_wallet('w', p_metadata => '{"b": 1, "a": {"ü": [1.0, null, "x"]}}');
  perform baseledger.credit('w', 1000, 'ключ', '{"n": 12345678901234567890.10}');
  perform baseledger.reserve('w', 100, 'r', '1 hour', p_at_least => 50);
  perform baseledger.settle('w', 'r', 30, 's1', false);
  perform baseledger.extend('w', 'r', '2 hours', 'e', 60);
  perform baseledger.settle('w', 'r', 60, 's2');
  perform baseledger.reserve('w', 10, '🙂', '1 second');
  perform tap.travel_back('w', '10 seconds');
  perform baseledger.charge('w', 5, 'c', 'charged');
  perform baseledger.refund('w', 'charged', 5, 'f');
  perform baseledger.withdraw('w', 1, 'out');
  perform baseledger.reserve('w', 1, 'gone');
  perform baseledger.cancel('w', 'gone', 'back');
  perform baseledger.freeze_wallet('w', 'a test');
  perform baseledger.unfreeze_wallet('w', 'all well', 'u');
  perform tap.wallet('W');
  perform baseledger.transfer('w', 'W', 7, 't');
end
$$;

set local role baseledger_auditor;

select is(
  array(
    select format('%s %s %s %s', seq, event, coalesce(reservation_id, '-'), coalesce(amount, 0))
      from baseledger.journal where wallet_id = 'w' order by seq
  ),
  array['1 opened - 0', '2 credited - 1000', '3 reserved r 100', '4 settled r 30',
    '5 extended r -10', '6 settled r 60', '7 reserved 🙂 10', '8 expired 🙂 10',
    '9 charged charged 5', '10 refunded charged 5', '11 withdrawn - 1', '12 reserved gone 1',
    '13 cancelled gone 1', '14 frozen - 0', '15 unfrozen - 0', '16 transferred_out - 7'],
  'the journal has every event of a wallet, numbered without gaps'
);
select is(
  array(
    select format('%s/%s/%s', available, reserved, spent)
      from baseledger.journal where wallet_id = 'w' order by seq
  ),
  array['0/0/0', '1000/0/0', '900/100/0', '900/70/30', '910/60/30', '910/0/90', '900/10/90',
    '910/0/90', '905/0/95', '910/0/90', '909/0/90', '908/1/90', '909/0/90', '909/0/90',
    '909/0/90', '902/0/90'],
  'each event has the balances after it'
);
select is(
  array(
    select jsonb_build_array(seq, details)
      from baseledger.journal where wallet_id = 'w' and details is not null order by seq
  ),
  array[
    '[1, {"unit": "USD", "scale": 9, "overdraft_limit": null}]',
    '[3, {"requested": 100, "at_least": 50}]', '[4, {"final": false}]', '[5, {"hold": 60}]',
    '[14, {"reason": "a test"}]', '[15, {"reason": "all well"}]', '[16, {"to": "W"}]'
  ]::jsonb[],
  'each event has its details'
);
select is(
  array(
    select coalesce(idempotency_key, '-') from baseledger.journal where wallet_id = 'w' order by seq
  ),
  array['-', 'ключ', 'r', 's1', 'e', 's2', '🙂', '-', 'c', 'f', 'out', 'gone', 'back', '-', 'u',
    't'],
  'each event has the caller''s key, if there is one'
);
select is(
  array(
    select seq from baseledger.journal
      where wallet_id = 'w' and expires_at is not null order by seq
  ),
  array[3, 4, 5, 7, 8, 12]::bigint[],
  'each event of a hold has the deadline that it set, kept or found passed'
);
select is(
  array(select metadata from baseledger.journal where wallet_id = 'w' order by seq limit 3),
  array['{"b": 1, "a": {"ü": [1.0, null, "x"]}}', '{"n": 12345678901234567890.10}', '{}']::jsonb[],
  'each event has the metadata as given'
);
select is_empty(
  $$select * from baseledger.journal a join baseledger.journal b
    on b.wallet_id = a.wallet_id and b.seq = a.seq + 1 and b.occurred_at <= a.occurred_at$$,
  'the times of a wallet''s events strictly increase'
);

-- The system's clock steps back.
set local role baseledger_operator;
do $$ begin perform tap.travel_back('w', '-1 day'); end $$;
select is(
  (baseledger.credit('w', 1, 'later')).occurred_at, at + interval '1 microsecond',
  'while the clock is behind the last event, an event happens a microsecond after it'
) from (select tap.last_event_at('w')) as l(at);
select ok(
  r.expires_at - clock_timestamp() between '59 seconds' and '1 minute'
    and r.occurred_at > clock_timestamp() + interval '23 hours',
  'deadlines count from the clock'
) from baseledger.reserve('w', 1, 'and so on', '1 minute') as r;
set local role baseledger_auditor;
select is(
  occurred_at - (details ->> 'ahead_us')::bigint * interval '1 microsecond',
  expires_at - interval '1 minute',
  'an event records by how much it is ahead of the clock'
) from baseledger.journal where wallet_id = 'w' order by seq desc limit 1;

-- The actor is the role that logged in, whatever role it has set since.
reset role;
set local session authorization baseledger_operator;
do $$ begin perform baseledger.credit('w', 1, 'by the operator'); end $$;
set local session authorization default;
select is(tap.on_record('w', 19) ->> 'actor', 'baseledger_operator',
  'the actor is the session''s user');
set local role baseledger_auditor;

-- The hash chain, by the description in docs/hash-chain.md: a row in PostgreSQL's binary form.
create function pg_temp.field(p_type integer, p_value bytea) returns bytea language sql as $$
  select int4send(p_type) || coalesce(int4send(length(p_value)) || p_value, int4send(-1))
$$;
create function pg_temp.words(p_value text) returns bytea language sql as $$
  select pg_temp.field(17, convert_to(p_value, 'UTF8'))
$$;
create function pg_temp.instant(p_value timestamptz) returns bytea language sql as $$
  select pg_temp.field(1184, int8send(
    (extract('epoch' from p_value) * 1000000)::bigint - 946684800000000
  ))
$$;
select is_empty(
  $$select wallet_id, seq
    from (
      select wallet_id, seq, hash = sha256(
          lag(hash, 1, decode(repeat('00', 32), 'hex')) over (partition by wallet_id order by seq)
          || int4send(14) || pg_temp.words(wallet_id) || pg_temp.field(20, int8send(seq))
          || pg_temp.words(event::text) || pg_temp.words(reservation_id)
          || pg_temp.field(20, int8send(amount)) || pg_temp.field(20, int8send(available))
          || pg_temp.field(20, int8send(reserved)) || pg_temp.field(20, int8send(spent))
          || pg_temp.instant(expires_at) || pg_temp.instant(occurred_at)
          || pg_temp.words(idempotency_key) || pg_temp.words(actor)
          || pg_temp.words(metadata::text) || pg_temp.words(details::text)
        ) as sound
        from baseledger.journal
    ) as x
    where not sound$$,
  'each hash follows the description of the chain'
);
select is(count(*), 21::bigint, 'the description covers all events') from baseledger.journal;

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
