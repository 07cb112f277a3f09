-- costs: what each event with usage has cost, computed again.
begin;
select plan(31);

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "a/one", "valid_from": "-infinity",
      "rates": {"input": 1250000000, "cache_read": 125000001, "output": 10000000000}},
    {"model": "a/one", "valid_from": "-infinity", "above": 1000,
      "rates": {"input": 2500000000, "output": 15000000000}},
    {"model": "a/one", "variant": "batch", "valid_from": "-infinity",
      "rates": {"input": 1, "output": 5}},
    {"model": "a/latest", "valid_from": "-infinity", "alias_of": "a/one"},
    {"model": "a/euro", "currency": "EUR", "rates": {"input": 1, "output": 1}}
  ]');
  perform baseledger.set_price('c/many', (
    select jsonb_object_agg('kind_' || k, k * 1000000) from generate_series(1, 40) as k
  ));
  perform tap.wallet('w', 10000000);
  perform baseledger.charge('w', 5, 'amount');
  perform baseledger.reserve('w', null, 'r1',
    p_usage => '{"model": "a/latest", "input": 100, "output": 200}');
  perform baseledger.settle('w', 'r1', null, 's1', false, p_usage => '{"cache_read": 3}');
  perform baseledger.settle('w', 'r1', null, 's2', p_usage => '{"input": 1001, "output": 1}');
  perform baseledger.charge('w', null, 'c1',
    p_usage => '{"model": "a/one", "variant": "batch", "input": 0, "output": 1}');
  perform baseledger.charge('w', null, 'c2', p_usage => jsonb '{"model": "c/many"}' || (
    select jsonb_object_agg('kind_' || k, k) from generate_series(1, 40) as k
  ));
  perform baseledger.reserve('w', null, 'r2', p_at_least => 1,
    p_usage => '{"model": "a/one", "output": 100000000}');
  perform baseledger.refund('w', 'c2', 5, 'f1');
  perform baseledger.open_wallet('six', p_scale => 6);
  perform baseledger.credit('six', 1000000, 'funds');
  perform baseledger.charge('six', null, 'c1',
    p_usage => '{"model": "a/one", "input": 999, "output": 7}');
  perform baseledger.open_wallet('eighteen', p_scale => 18);
  perform baseledger.credit('eighteen', 1000000000000000000, 'funds');
  perform baseledger.charge('eighteen', null, 'c1',
    p_usage => '{"model": "a/one", "cache_read": 7}');
end
$$;

set local role baseledger_auditor;
select is(
  array(
    select concat_ws(' ', c.event, c.model, c.variant, c.amount, c.cost, c.agrees)
      from baseledger.costs c where c.wallet_id = 'w' order by c.seq
  ),
  '{reserved a/one standard 2125000 2125000 t,settled a/one standard 376 376 t,
    settled a/one standard 2517500 2517500 t,charged a/one batch 1 1 t,
    charged c/many standard 22140 22140 t,
    reserved a/one standard 1000000000000 1000000000000 t}',
  'each event with usage, with the amount that was asked for'
);
select is(
  array(
    select concat_ws(' ', c.wallet_id, c.usage, c.price_id, c.amount, c.cost, c.agrees)
      from baseledger.costs c where c.wallet_id <> 'w' order by c.wallet_id
  ),
  array[
    'eighteen {"model": "a/one", "cache_read": 7} 1 875000007000 875000007000 t',
    'six {"input": 999, "model": "a/one", "output": 7} 1 1319 1319 t'
  ],
  'in steps of the wallet, rounded up'
);
select is_empty('select * from baseledger.verify()', 'verify finds nothing');

-- What verify finds of the wallet, and of the whole ledger, after a change; and whether it is what
-- the view says. Then all is as before.
reset role;
create function pg_temp.found(p_statement text) returns text[] language plpgsql as $$
declare
  v_found text[];
begin
  begin
    set local session_replication_role = replica;
    alter table baseledger.price_rows disable trigger price_rows_append_only;
    perform tap.tamper(p_statement);
    set local session_replication_role = origin;
    perform tap.rehash('w');
    v_found := array(
      select distinct e.idempotency_key || ' ' || v."check"
        from baseledger.verify('w') as v
        join baseledger.events e on e.wallet_id = 'w' and e.seq = v.seq
        where v."check" not in ('balances', 'wallet', 'reservation')
        order by 1
    );
    if v_found <> array(
        select e.idempotency_key || ' price'
          from baseledger.costs c
          join baseledger.events e on e.wallet_id = c.wallet_id and e.seq = c.seq
          where not c.agrees and c.wallet_id = 'w'
          order by 1
      )
      or (select count(*) from baseledger.verify() as v
          where v."check" = 'price' and v.wallet_id = 'w') <> cardinality(v_found)
    then
      v_found := v_found || '{differs}';
    end if;
    raise exception using errcode = 'TAP00';
  exception
    when sqlstate 'TAP00' then null;
  end;
  return v_found;
end
$$;

create function pg_temp.edit(p_key text, p_set text) returns text[] language sql as $$
  select pg_temp.found(format(
    'update baseledger.events set %s where wallet_id = ''w'' and idempotency_key = %L',
    p_set, p_key
  ))
$$;

select is(pg_temp.found('update baseledger.wallets set seq = seq'), '{}', 'nothing without a change');
select is(pg_temp.edit(c.key, c.change), array[c.key || ' price'], c.key || ': ' || c.change)
  from (values
    ('c1', $$details = jsonb_set(details, '{usage,output}', '1000000')$$),
    ('c1', $$details = jsonb_set(details, '{usage,other}', '0')$$),
    ('c1', $$details = jsonb_set(details, '{usage,output}', '"1"')$$),
    ('c1', $$details = jsonb_set(details, '{usage,input}', 'null')$$),
    ('c1', $$details = jsonb_set(details, '{usage}', '[]')$$),
    ('c1', $$details = jsonb_set(details, '{usage}', '"x"')$$),
    ('c1', $$details = jsonb_set(details, '{usage}', '{}')$$),
    ('c1', $$details = jsonb_set(details, '{usage,variant}', '"standard"')$$),
    ('c1', $$details = jsonb_set(details, '{usage,model}', '"a/two"')$$),
    ('c1', $$details = jsonb_set(details, '{price}', '5')$$),
    ('c1', $$details = jsonb_set(details, '{price}', '4')$$),
    ('c1', $$details = jsonb_set(details, '{price}', '99')$$),
    ('c1', $$details = jsonb_set(details, '{price}', '"3"')$$),
    ('c1', $$details = jsonb_set(details, '{price}', '1e30')$$),
    ('c1', $$details = details - 'price'$$),
    ('c1', $$details = details - 'usage'$$),
    ('c1', $$amount = 2$$),
    ('c2', $$amount = 22139$$),
    ('r1', $$details = details - 'model'$$),
    ('r1', $$details = details || '{"requested": 5}'$$),
    ('r2', $$details = details - 'requested'$$),
    ('s1', $$amount = 375$$),
    ('amount', $$details = '{"price": 1}'$$)
  ) as c(key, change);
select is(pg_temp.found('update baseledger.price_rows set rates = ''{"input": 1, "output": 1000001}''
  where price_id = 3'), '{c1 price}', 'a price that was edited');
select is(pg_temp.found('update baseledger.price_rows set currency = ''EUR'' where price_id = 3'),
  '{c1 price}', 'a currency that was edited');
select is(pg_temp.found('delete from baseledger.price_rows where price_id = 1'),
  '{r1 price,r2 price,s1 price}', 'a price that was deleted');

set local role baseledger_operator;
select throws_ok('select * from baseledger.costs', '42501', null, 'an operator may not read costs');

select * from finish();
rollback;
