-- spending: what a wallet has spent, by labels, models and windows, held to a plain count.
begin;
select plan(47);

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "a/one", "valid_from": "-infinity",
      "rates": {"input": 1000000000, "cache_read": 100000000, "output": 2000000000}},
    {"model": "a/one", "valid_from": "-infinity", "above": 1000,
      "rates": {"input": 2000000000, "cache_read": 200000000, "output": 4000000000}},
    {"model": "a/one", "valid_from": "-infinity", "variant": "batch",
      "rates": {"input": 500000000, "output": 1000000000}},
    {"model": "b/two", "valid_from": "-infinity",
      "rates": {"output": 3000000000, "requests": 5000000000000}},
    {"model": "b/latest", "valid_from": "-infinity", "alias_of": "b/two"}
  ]');
  perform baseledger.set_price('c/many', (
    select jsonb_object_agg('kind_' || k, k * 1000000) from generate_series(1, 40) as k
  ));
end
$$;
reset role;

-- The same, counted event by event.
create function pg_temp.count_spending(
  p_wallet_id text, p_from timestamptz, p_to timestamptz, p_by text[], p_per text, p_zone text
) returns setof baseledger.spending_line
language sql volatile as $$
  with line as (
    select e.event, e.details, e.amount,
        case when p_per is not null
          then lower(baseledger._window(p_per, p_zone, e.occurred_at))
        end as starts_at,
        array(
          select case
              when b.name = 'model' and e.details -> 'price' is not null then (
                select p.provider || '/' || p.model from baseledger.price_rows p
                  where p.price_id = (e.details -> 'price')::bigint
              )
              when jsonb_typeof(x.labels -> b.name) = 'string' then x.labels ->> b.name
              else ''
            end
            from unnest(p_by) with ordinality as b (name, n)
            order by b.n
        ) as label_values
      from baseledger.events e
      join baseledger.events o
        on o.wallet_id = e.wallet_id and o.reservation_id = e.reservation_id
        and o.event in ('reserved', 'charged')
      cross join lateral (select baseledger._labels(o.details, o.metadata)) as x(labels)
      where e.wallet_id = p_wallet_id
        and e.event in ('reserved', 'settled', 'charged', 'refunded')
        and e.occurred_at >= coalesce(p_from, '-infinity')
        and e.occurred_at < coalesce(p_to, 'infinity')
  )
  select l.starts_at, l.label_values,
      count(*) filter (where l.event in ('reserved', 'charged')),
      coalesce((
        select jsonb_object_agg(k.kind, k.tokens)
          from (
            select u.key, sum(u.value::numeric)
              from line i
              cross join lateral jsonb_each(i.details -> 'usage') as u
              where i.starts_at is not distinct from l.starts_at
                and i.label_values = l.label_values
                and i.event in ('settled', 'charged')
                and u.key not in ('model', 'variant')
              group by u.key
          ) as k(kind, tokens)
      ), '{}'),
      sum(case l.event when 'reserved' then 0 when 'refunded' then -l.amount else l.amount end)
    from line l
    group by l.starts_at, l.label_values
    order by l.starts_at, l.label_values collate "C"
$$;

-- Moves the events of a wallet to these instants, the last ones; the others before them.
create function pg_temp.move(p_wallet_id text, p_times timestamptz[]) returns void
language plpgsql as $$
begin
  perform tap.tamper(format(
    $s$update baseledger.events e
      set occurred_at = case
        when e.seq > w.seq - %2$s then (%3$L::timestamptz[])[e.seq - w.seq + %2$s]
        else (%3$L::timestamptz[])[1] - (w.seq - e.seq) * interval '1 second'
      end
      from baseledger.wallets w
      where w.wallet_id = e.wallet_id and e.wallet_id = %1$L$s$,
    p_wallet_id, cardinality(p_times), p_times
  ));
  update baseledger.wallets w set last_event_at = p_times[cardinality(p_times)]
    where w.wallet_id = p_wallet_id;
  perform tap.rehash(p_wallet_id);
end
$$;

create function pg_temp.usage(p_model text, p_counts jsonb) returns jsonb
language sql as $$ select jsonb_build_object('model', p_model) || p_counts $$;

-- All ways to spend -----------------------------------------------------------------------------

do $$
declare
  c_ann constant jsonb := '{"user": "ann", "team": "x"}';
  c_bob constant jsonb := '{"user": "bob", "team": "x", "model": "label"}';
begin
  perform tap.wallet('m', 3000000000000);
  perform tap.wallet('other', 1000000);
  -- by usage, in parts; late; for the cost of a higher tier
  perform baseledger.reserve('m', null, 'r1', '1 minute', p_metadata => c_ann,
    p_usage => pg_temp.usage('a/one', '{"input": 900, "output": 500}'));
  perform baseledger.settle('m', 'r1', null, 's1a', false,
    p_usage => '{"input": 700, "cache_read": 200}');
  perform baseledger.reserve('m', null, 'r2', '1 minute', p_metadata => c_bob,
    p_usage => pg_temp.usage('b/latest', '{"output": 100}'));
  perform tap.travel_back('m', '40 days');
  perform baseledger.settle('m', 'r1', null, 's1b', p_usage => '{"input": 1001, "output": 17}');
  perform baseledger.settle('m', 'r2', null, 's2', false, p_usage => '{"output": 50}');
  perform baseledger.settle('m', 'r2', 33, 's2b');
  -- by amount: over, and not
  perform baseledger.reserve('m', 500, 'r3', p_metadata => c_ann);
  perform baseledger.settle('m', 'r3', 900, 's3');
  perform baseledger.reserve('m', 500, 'r4', p_metadata => c_bob);
  perform baseledger.settle('m', 'r4', 100, 's4a', false);
  perform tap.travel_back('m', '3 days');
  perform baseledger.settle('m', 'r4', null, 's4b',
    p_usage => pg_temp.usage('b/two', '{"output": 20, "requests": 2}'));
  -- opened by usage, settled by amount
  perform baseledger.reserve('m', null, 'r5', p_metadata => c_ann,
    p_usage => pg_temp.usage('a/one', '{"variant": "batch", "input": 100}'));
  perform baseledger.settle('m', 'r5', 41, 's5');
  -- charges
  perform baseledger.charge('m', 70, 'c1', p_metadata => c_bob);
  perform baseledger.charge('m', null, 'c2', p_metadata => c_bob || '{"team": 7}',
    p_usage => pg_temp.usage('b/latest', '{"output": 7}'));
  perform baseledger.charge('m', null, 'c3',
    p_usage => pg_temp.usage('a/one', '{"input": 0, "output": 1000000000}'),
    p_already_spent => true);
  perform baseledger.charge('m', null, 'c4', p_usage => pg_temp.usage('c/many', (
    select jsonb_object_agg('kind_' || k, k) from generate_series(1, 40) as k
  )));
  -- open, cancelled, granted in part; other events
  perform baseledger.reserve('m', null, 'r6', p_metadata => c_ann,
    p_usage => pg_temp.usage('a/one', '{"input": 5}'));
  perform baseledger.reserve('m', 40, 'r7', p_metadata => c_ann);
  perform baseledger.cancel('m', 'r7', 'x7');
  perform baseledger.credit('m', 5000, 'more');
  perform baseledger.withdraw('m', 10, 'less');
  perform baseledger.transfer('m', 'other', 100, 't1');
  perform baseledger.transfer('other', 'm', 30, 't2');
  perform baseledger.reserve('m', null, 'r8', p_at_least => 1,
    p_usage => pg_temp.usage('a/one', '{"output": 1000000000}'));
  perform tap.travel_back('m', '20 hours');
  -- refunds, in later windows
  perform baseledger.refund('m', 'r1', 300, 'f1');
  perform baseledger.refund('m', 'c1', 70, 'f2');
  perform baseledger.refund('m', 'c3', 1000, 'f3');
end
$$;

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'the journal is sound');
reset role;

create temp table cases as
  select b.by, p.per, z.zone, f.from_at, f.to_at
    from (values
      ('{}'::text[]), ('{model}'), ('{user}'), ('{team,model}'), ('{model,user,nobody,team}')
    ) as b(by)
    cross join (values (null), ('hour'), ('day'), ('week'), ('month')) as p(per)
    cross join (values ('UTC'), ('America/St_Johns')) as z(zone)
    cross join (
      values (null::timestamptz, null::timestamptz),
        (clock_timestamp() - interval '10 days', clock_timestamp() - interval '1 hour')
    ) as f(from_at, to_at);
grant select on cases to baseledger_operator;

create function pg_temp.wrong(p_wallet_id text, p_by text[]) returns bigint language sql as $$
  select count(*)
    from cases c
    where c.by = p_by
      and array(
        select s from baseledger.spending(
          p_wallet_id, c.from_at, c.to_at, c.by, c.per, c.zone
        ) as s
      ) is distinct from array(
        select s from pg_temp.count_spending(
          p_wallet_id, c.from_at, c.to_at, c.by, c.per, c.zone
        ) as s
      )
$$;
select is(pg_temp.wrong('m', c.by), 0::bigint, format('by %s it is what the events say', c.by))
  from (select distinct by from cases) as c order by c.by;

set local role baseledger_operator;
select is(
  array(
    select distinct (
        select sum(s.amount) from baseledger.spending('m', p_by => c.by, p_per => c.per,
          p_time_zone => c.zone) as s
      )
      from cases c
  ),
  array[(select b.spent::numeric from baseledger.balance('m') as b)],
  'without bounds the amounts add up to what the wallet has spent'
);
select is(
  (select sum(s.amount) from baseledger.spending('m', p_to => now() - interval '1 hour') as s)
    + (select sum(s.amount) from baseledger.spending('m', now() - interval '1 hour') as s),
  (select b.spent::numeric from baseledger.balance('m') as b),
  'and so do those before and after an instant'
);
select is(
  array(select s.calls || ' ' || s.amount from baseledger.spending('m') as s),
  array['12 ' || (select b.spent from baseledger.balance('m') as b)],
  'each reservation and charge is a call, once'
);
select is(
  array(
    select s.label_values || s.calls::text || s.tokens::text || s.amount::text
      from baseledger.spending('m', p_by => '{model}') as s
  ),
  array[
    array['', '2', '{}', '900'],
    array['a/one', '5', '{"input": 1701, "output": 1000000017, "cache_read": 200}',
      (700000 + 20000 + 2002000 + 68000 + 41 + 2000000000000 - 300 - 1000)::text],
    array['b/two', '2', '{"output": 77, "requests": 2}',
      (150000 + 33 + 60000 + 10000000 + 21000)::text],
    array['c/many', '1', (select jsonb_object_agg('kind_' || k, k)
      from generate_series(1, 40) as k)::text, '22140'],
    array['label', '2', '{}', '100']
  ],
  'by model: of the usage, an alias resolved; else what the opening says'
);
select is(
  array(
    select array_to_string(s.label_values, '|') || ' ' || s.calls
      from baseledger.spending('m', p_by => '{user,team}') as s
  ),
  array['| 3', 'ann|x 5', 'bob| 1', 'bob|x 3'],
  'by labels: empty where there is none, or no string'
);
select is(
  array(
    select array_to_string(s.label_values, '|') from baseledger.spending(
      'm', p_by => '[3:4]={team,user}'::text[]) as s
  ),
  '{|,|bob,x|ann,x|bob}',
  'in the order of p_by, whatever its bounds'
);

-- Events by time --------------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('z', 1000);
  perform baseledger.charge('z', (2 ^ n)::bigint, 'c' || n) from generate_series(0, 8) as n;
  perform pg_temp.move('z', array[
    '2026-03-28 23:30Z', '2026-03-29 00:30Z', '2026-03-29 01:00Z', '2026-03-29 21:59:59.999999Z',
    '2026-03-29 22:00Z', '2026-10-24 22:00Z', '2026-10-25 00:30Z', '2026-10-25 01:30Z',
    '2026-10-25 22:59:59.999999Z'
  ]::timestamptz[]);
end
$$;
set local role baseledger_operator;
create function pg_temp.windows(p_per text, p_zone text) returns text[] language sql as $$
  select array_agg(to_char(s.starts_at at time zone 'UTC', 'MM-DD HH24:MI ') || s.amount)
    from baseledger.spending('z', p_per => p_per, p_time_zone => p_zone) as s
$$;
select is(pg_temp.windows('day', 'Europe/Berlin'),
  '{03-28 23:00 15,03-29 22:00 16,10-24 22:00 480}', 'days of 23 and of 25 hours');
select is(pg_temp.windows('day', 'UTC'), '{03-28 00:00 1,03-29 00:00 30,10-24 00:00 32,
  10-25 00:00 448}', 'days of UTC');
select is(pg_temp.windows('hour', 'Europe/Berlin'), '{03-28 23:00 1,03-29 00:00 2,03-29 01:00 4,
  03-29 21:00 8,03-29 22:00 16,10-24 22:00 32,10-25 00:00 64,10-25 01:00 128,10-25 22:00 256}',
  'the hour that comes twice is two');
select is(pg_temp.windows('hour', 'Asia/Kolkata'), '{03-28 23:30 1,03-29 00:30 6,03-29 21:30 24,
  10-24 21:30 32,10-25 00:30 64,10-25 01:30 128,10-25 22:30 256}', 'hours that begin at the half');
select is(pg_temp.windows('week', 'Europe/Berlin'),
  '{03-22 23:00 15,03-29 22:00 16,10-18 22:00 480}', 'weeks from Monday');
select is(pg_temp.windows('month', 'Pacific/Kiritimati'),
  '{02-28 10:00 31,09-30 10:00 480}', 'months');
select is(
  (select (e.starts_at, e.amount)::text from baseledger.spending('z', '2026-03-29 00:30Z',
    '2026-03-29 22:00Z', p_per => 'month', p_time_zone => 'Europe/Berlin') as e),
  ('2026-02-28 23:00Z'::timestamptz, 14::numeric)::text,
  'from the first instant up to, not including, the last, also within a window'
);
select is_empty($$select * from baseledger.spending('z', '2026-03-30Z', '2026-03-30Z')$$,
  'of no time there is no line');
select is_empty($$select * from baseledger.spending('z', '2026-10-24Z', '2026-03-30Z')$$,
  'nor of time that runs backwards');
select is_empty($$select * from baseledger.spending('z', 'infinity', p_per => 'day')$$,
  'nor of the future');
select is((select sum(s.amount) from baseledger.spending('z', '-infinity', 'infinity') as s),
  511::numeric, 'the ends of time are no bounds');
set local timezone = 'Asia/Tokyo';
select is(pg_temp.windows('day', 'UTC'), '{03-28 00:00 1,03-29 00:00 30,10-24 00:00 32,
  10-25 00:00 448}', 'whatever the zone of the session');
reset timezone;

reset role;
select tap.tamper($$delete from baseledger.events where wallet_id = 'z' and seq in (4, 5, 11)$$);
set local role baseledger_operator;
select is(pg_temp.windows('day', 'Europe/Berlin'),
  '{03-28 23:00 9,03-29 22:00 16,10-24 22:00 224}', 'gaps do not stop it');

-- Labels that a grant gives -----------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('g', 1000000);
  perform baseledger.allow('g', 'baseledger_agent', '{"team": "fixed"}', '{user}');
end
$$;
set local role baseledger_agent;
do $$
begin
  perform baseledger.charge('g', 5, 'c1',
    p_metadata => '{"team": "mine", "user": "u", "run": "7"}');
  perform baseledger.reserve('g', null, 'r1', p_metadata => '{"team": "mine", "model": "x/y"}',
    p_usage => '{"model": "b/latest", "output": 5}');
end
$$;
set local role baseledger_operator;
select is(
  array(select s.label_values || s.calls::text
    from baseledger.spending('g', p_by => '{team,user,run,model}') as s),
  '{{fixed,"","",b/two,1},{fixed,u,"","",1}}', 'labels are those that the caller may choose'
);

-- What there is nothing of ------------------------------------------------------------------------

reset role;
select tap.wallet('empty', 5);
set local role baseledger_operator;
select is_empty($$select * from baseledger.spending('empty')$$, 'nothing of a wallet without calls');
select is_empty($$select * from baseledger.spending('empty', p_by => '{a}', p_per => 'hour')$$,
  'by whatever');
select changes_nothing($$select * from baseledger.spending('m', p_by => '{user}')$$,
  'it changes nothing');

-- What is refused ---------------------------------------------------------------------------------

select refuses('spending(' || c.arguments || ')', c.code, c.detail::jsonb, 'refused: ' || c.arguments)
  from (values
    ($$'nobody'$$, 'LGWNF', '{"wallet_id": "nobody"}'),
    ($$null$$, 'LGARG', '{"field": "wallet_id"}'),
    ($$'m', p_by => null$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => '{a,null}'$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => '{a,a}'$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => '{a,b,c,d,e}'$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => '{{a,b}}'$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => array['']$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_by => array[repeat('x', 256)]$$, 'LGARG', '{"field": "by"}'),
    ($$'m', p_per => 'minute'$$, 'LGARG', '{"field": "per"}'),
    ($$'m', p_per => 'year'$$, 'LGARG', '{"field": "per"}'),
    ($$'m', p_per => 'ever'$$, 'LGARG', '{"field": "per"}'),
    ($$'m', p_per => ''$$, 'LGARG', '{"field": "per"}'),
    ($$'m', p_time_zone => null$$, 'LGARG', '{"field": "time_zone"}'),
    ($$'m', p_time_zone => 'CET'$$, 'LGARG', '{"field": "time_zone"}'),
    ($$'m', p_time_zone => 'posix/Europe/Berlin'$$, 'LGARG', '{"field": "time_zone"}'),
    ($$'m', p_per => 'day', p_time_zone => 'Mars/Base'$$, 'LGARG', '{"field": "time_zone"}')
  ) as c(arguments, code, detail);

set local role baseledger_agent;
select throws_ok($$select * from baseledger.spending('m')$$, '42501', null,
  'an agent may not ask');

select * from finish();
rollback;
