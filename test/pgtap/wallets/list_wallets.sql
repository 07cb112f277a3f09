-- list_wallets: the wallets, a page at a time.
begin;
select plan(32);

set local role baseledger_operator;
select is_empty('select * from baseledger.list_wallets()', 'it is empty without wallets');

do $$
begin
  perform tap.wallet('b', 1000, 500);
  perform baseledger.reserve('b', 200, 'due', '1 hour');
  perform baseledger.reserve('b', 100, 'open', '10 hours');
  perform tap.travel_back('b', '2 hours');
  perform tap.wallet('B', 1);
  perform tap.wallet('a', 1);
  perform tap.wallet('a/1', 1);
  perform baseledger.freeze_wallet('a/1', 'a test');
  perform tap.wallet('a/2', 1);
  perform baseledger.close_wallet('a/2', 'a test');
  perform tap.wallet('a/' || chr(1114111), 1);
  perform tap.wallet('a0', 1);
  perform tap.wallet('a%', 1);
  perform baseledger.open_wallet('ä', 'tokens', 0, p_restricted => true);
end
$$;
create function pg_temp.ids(
  p_prefix text default '', p_unit text default null, p_frozen boolean default null,
  p_closed boolean default false, p_after text default null, p_limit integer default 100
) returns text language sql as $$
  select string_agg(replace(w.wallet_id, chr(1114111), '!'), ' ')
    from baseledger.list_wallets(p_prefix, p_unit, p_frozen, p_closed, p_after, p_limit) as w
$$;

select is(
  to_jsonb(w) - 'last_event_at', '{
    "wallet_id": "b", "unit": "USD", "scale": 9, "available": 900, "reserved": 100, "spent": 0,
    "overdraft_limit": 500, "frozen": false, "seq": 4, "ahead_by": null, "restricted": false,
    "closed": false, "limited": false
  }', 'a reservation past its deadline counts as returned'
) from baseledger.list_wallets('b') as w;
select is(w.last_event_at, tap.last_event_at('b'), 'it has the time of the last event')
  from baseledger.list_wallets('b') as w;
select is(pg_temp.ids(), 'B a a% a/1 a/! a0 b ä', 'ids are in the order of their bytes');
select is(pg_temp.ids('a'), 'a a% a/1 a/! a0', 'by prefix');
select is(pg_temp.ids('a/'), 'a/1 a/!', 'by prefix, to the last character');
select is(pg_temp.ids('a%'), 'a%', 'a prefix is no pattern');
select is(pg_temp.ids('_'), null, 'nor has it wildcards');
select is(pg_temp.ids('ä'), 'ä', 'a prefix may have any characters');
select is(pg_temp.ids('A'), null, 'its case counts');
select is(pg_temp.ids(p_prefix => null), pg_temp.ids(), 'null means all');
select is(pg_temp.ids(p_unit => 'tokens'), 'ä', 'by unit');
select is(pg_temp.ids(p_unit => 'usd'), null, 'the unit''s case counts');
select is(pg_temp.ids(p_frozen => true), 'a/1', 'frozen ones');
select is(pg_temp.ids('a', p_frozen => false), 'a a% a/! a0', 'others than frozen ones');
select is(pg_temp.ids(p_closed => true), 'a/2', 'closed ones');
select is(pg_temp.ids('a', p_closed => null), 'a a% a/1 a/2 a/! a0', 'closed and others');
select is(pg_temp.ids('a', 'USD', false, true), 'a/2', 'filters hold together');
select ok(w.restricted, 'it tells which are restricted') from baseledger.list_wallets('ä') as w;
select ok(w.closed and not w.frozen, 'and which are closed')
  from baseledger.list_wallets(p_closed => true) as w;

select is(pg_temp.ids(p_limit => 3), 'B a a%', 'the first page');
select is(pg_temp.ids(p_limit => 3, p_after => 'a%'), 'a/1 a/! a0', 'the next');
select is(pg_temp.ids(p_limit => 3, p_after => 'a0'), 'b ä', 'the last');
select is(pg_temp.ids(p_after => 'ä'), null, 'after the last there is none');
select is(pg_temp.ids('a/', p_after => 'a'), 'a/1 a/!', 'a page may begin before the prefix');
select is(pg_temp.ids('a/', p_after => 'a0'), null, 'or after it');

select refuses(format('list_wallets(p_limit => %s)', c.given), 'LGARG', '{"field": "limit"}',
  'refused: a limit of ' || c.given) from unnest(array['0', '-1', '100001', 'null']) as c(given);
set local role baseledger_auditor;
select is(count(*), 8::bigint, 'auditors may read it') from baseledger.list_wallets();
set local role baseledger_agent;
select throws_ok($$select * from baseledger.list_wallets()$$, '42501', null, 'agents may not');

select * from finish();
rollback;
