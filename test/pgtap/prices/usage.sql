-- Usage in reserve and settle where it is no object, and retries after a price has changed.
begin;
select plan(9);

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_price('a/m', '{"input": 1000000000}');
  perform tap.wallet('w', 1000000);
end
$$;

set local role baseledger_agent;
select is(
  (baseledger.reserve('w', null, 'open', p_usage => '{"model": "a/m", "input": 10}')).amount,
  10000::bigint, 'a reservation by usage');
select tap.refuses(
    format('settle(%L, %L, null, %L, p_usage => %L)', 'w', 'open', 'k', u.usage),
    'LGARG', '{"field": "usage"}', format('settled by %s', u.usage)
  )
  from unnest(array['7', '"input"', '["input"]', 'true']) as u(usage);
select is(array_agg(p.refused), '{LGARG,NULL}', 'and in a batch, which goes on')
  from baseledger.post('w', '[
    {"op": "settle", "reservation_id": "open", "idempotency_key": "k", "usage": 7},
    {"op": "settle", "reservation_id": "open", "idempotency_key": "l", "usage": {"input": 3}}
  ]') as p;

select is(
  (baseledger.reserve(
    'w', null, 'least', p_at_least => 8000, p_usage => '{"model": "a/m", "input": 10}'
  )).amount,
  10000::bigint, 'a reservation with at_least');
set local role baseledger_operator;
do $$ begin perform baseledger.set_price('a/m', '{"input": 500000000}'); end $$;
set local role baseledger_agent;
select is(
  (select array[r.amount::text, r.replayed::text] from baseledger.reserve(
    'w', null, 'least', p_at_least => 8000, p_usage => '{"model": "a/m", "input": 10}'
  ) as r),
  '{10000,true}', 'its retry has its receipt, though at_least is above the cost by now');
select tap.refuses(
  $$reserve(
    'w', null, 'other', p_at_least => 8000, p_usage => '{"model": "a/m", "input": 10}'
  )$$,
  'LGARG', '{"field": "at_least"}', 'as another reservation is refused for');

select * from finish();
rollback;
