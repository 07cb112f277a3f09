-- verify: limits, own amounts, counters and low balances that were changed behind the ledger's back.
begin;
select plan(31);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.set_limit('w', 'day', 100, 'day', '{user}', p_alert_at => '{50}');
  perform baseledger.set_limit('w', 'ever', 500, 'ever');
  perform baseledger.set_limit('w', 'open', 5, 'ever', '{user}', 'open');
  perform baseledger.set_limit_for('w', 'day', '{ann}', 200);
  perform baseledger.set_limit('w', 'own', 100, 'day', '{user}');
  perform baseledger.set_limit_for('w', 'own', '{carl}', 300);
  perform baseledger.set_low_balance('w', '{900,990}');
  perform baseledger.charge('w', 60, 'c1', p_metadata => '{"user": "ann"}');
  perform baseledger.reserve('w', 10, 'r1', '1 hour', p_metadata => '{"user": "bob"}');
  perform tap.wallet('plain', 10);
end
$$;

-- What verify finds after a change, of the wallet and of the whole ledger; then all is as before.
create function pg_temp.found(p_statement text) returns text[] language plpgsql as $$
declare
  v_of_wallet text[];
  v_of_all text[];
begin
  begin
    perform tap.tamper(p_statement);
    select array_agg(distinct v.wallet_id || ' ' || v."check") into v_of_wallet
      from baseledger.verify('w') as v;
    select array_agg(distinct v.wallet_id || ' ' || v."check") into v_of_all
      from baseledger.verify() as v
      where v.wallet_id = 'w';
    raise exception using errcode = 'TAP00';
  exception
    when sqlstate 'TAP00' then null;
  end;
  return case
    when v_of_wallet is not distinct from v_of_all then v_of_wallet
    else v_of_wallet || coalesce(v_of_all, '{none of all}')
  end;
end
$$;

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at first');
select is(pg_temp.found('update baseledger.' || c.statement), c.expected::text[], c.name) from (values
  ('an amount', $$limits set amount = 101 where limit_id = 'day'$$, '{w limit}'),
  ('a limit that is soft', $$limits set hard = false where limit_id = 'ever'$$, '{w limit}'),
  ('a percentage', $$limits set alert_at = '{51}' where limit_id = 'day'$$, '{w limit}'),
  ('when it was set', $$limits set set_at = set_at - interval '1 second' where limit_id = 'ever'$$,
    '{w limit}'),
  ('the event that set it', $$limits set set_seq = set_seq + 1 where limit_id = 'ever'$$,
    '{w limit}'),
  ('a window of two days', $$limits set ends_at = ends_at + interval '1 day',
    counted_until = counted_until + interval '1 day' where limit_id = 'day'$$, '{w window}'),
  ('a window that ends before it begins', $$limits set ends_at = starts_at - interval '1 day'
    where limit_id = 'day'$$, '{w window}'),
  ('for ever with an end', $$limits set ends_at = '2100-01-01' where limit_id = 'open'$$,
    '{w window}'),
  ('a window that was not counted', $$limits set counted_until = starts_at where limit_id = 'day'$$,
    '{w window}'),
  ('what was spent', $$counters set spent = spent - 1
    where limit_id = 'day' and label_values = '{ann}'$$, '{w counter}'),
  ('what is held', $$counters set held = held - 1 where limit_id = 'ever'$$, '{w counter}'),
  ('how many are open', $$counters set held = held + 1 where limit_id = 'open'$$, '{w counter}'),
  ('a counter of other labels', $$counters set label_values = '{carl}'
    where limit_id = 'open' and label_values = '{bob}'$$, '{w counter}'),
  ('a counter of an earlier window', $$counters set starts_at = starts_at - interval '1 day',
    ends_at = ends_at - interval '1 day', spent = 0
    where limit_id = 'day' and label_values = '{ann}'$$, '{w counter}'),
  ('a counter of no window', $$counters set ends_at = starts_at + interval '40 hours'
    where limit_id = 'day' and label_values = '{ann}'$$, '{w counter}'),
  ('what has alerted', $$counters set alerted = 1001 where limit_id = 'ever'$$, '{w alerted}'),
  ('an own amount', $$counters set own_amount = 201 where own_amount = 200$$, '{w own amount}'),
  ('an own amount that is gone', $$counters set own_amount = null where own_amount = 200$$,
    '{w own amount}'),
  ('an own amount that nobody set', $$counters set own_amount = 7
    where limit_id = 'day' and label_values = '{bob}'$$, '{w own amount}'),
  ('a wallet that is not limited', $$wallets set limited = false where wallet_id = 'w'$$,
    '{w limited}'),
  ('amounts to watch', $$wallets set low_balances = '{901,990}' where wallet_id = 'w'$$,
    '{w low balances}'),
  ('what funds are below', $$wallets set below = '{900}' where wallet_id = 'w'$$,
    '{w low balances}')
) as c(name, statement, expected);
select is(pg_temp.found(c.statement), c.expected::text[], c.name) from (values
  ('a counter that is gone', $$delete from baseledger.counters where limit_id = 'ever'$$,
    '{w counter}'),
  ('all counters of what was spent', $$delete from baseledger.counters
    where limit_id = 'day' and label_values = '{ann}'$$, '{w counter,w own amount}'),
  ('a limit that is gone', $$delete from baseledger.limits where limit_id = 'open'$$,
    '{w counter,w limit}'),
  ('a limit of which only an own amount is left', $$delete from baseledger.limits
    where limit_id = 'own'; delete from baseledger.counters
    where limit_id = 'own' and label_values <> '{carl}'$$, '{w counter,w limit}'),
  ('a limit that nobody set', $$insert into baseledger.limits
    select wallet_id, 'more', amount, per, by, of, time_zone, hard, alert_at, set_at, set_seq,
        starts_at, ends_at, counted_until
      from baseledger.limits where limit_id = 'day'$$, '{w counter,w limit}')
) as c(name, statement, expected);

-- A wallet that never had a limit
select is(pg_temp.found($$update baseledger.raised_alerts set value = value$$), null,
  'what changes nothing is no difference');
select lives_ok($$select tap.tamper('insert into baseledger.limits
  select ''plain'', limit_id, amount, per, by, of, time_zone, hard, alert_at, set_at, set_seq,
      starts_at, ends_at, counted_until
    from baseledger.limits where limit_id = ''ever''')$$, 'a limit of a wallet that never had one');
select bag_eq($$select v."check" from baseledger.verify('plain') as v$$, array['limit'], 'is found');

select * from finish();
rollback;
