-- The windows of limits: from the first instant of a date, hour or minute to that of the next.
begin;
select plan(49);

-- Days ------------------------------------------------------------------------------------------

select is(tap.window_of('day', c.zone, c.at), c.expected, c.name) from (values
  ('a day in UTC', 'UTC', '2025-06-01 23:59:59.999999Z', '2025-06-01 00:00 - 2025-06-02 00:00'),
  ('begins at its first instant', 'UTC', '2025-06-02 00:00Z',
    '2025-06-02 00:00 - 2025-06-03 00:00'),
  ('of 23 hours', 'Europe/Berlin', '2025-03-30 12:00Z', '2025-03-29 23:00 - 2025-03-30 22:00'),
  ('of 25 hours', 'Europe/Berlin', '2025-10-26 12:00Z', '2025-10-25 22:00 - 2025-10-26 23:00'),
  ('of half-hour zones', 'Asia/Kolkata', '2025-06-01 18:29Z',
    '2025-05-31 18:30 - 2025-06-01 18:30'),
  ('of half an hour less', 'Australia/Lord_Howe', '2025-10-05 00:00Z',
    '2025-10-04 13:30 - 2025-10-05 13:00'),
  ('with two midnights, before the second', 'America/Havana', '2025-11-02 04:30Z',
    '2025-11-02 04:00 - 2025-11-03 05:00'),
  ('with two midnights, after the second', 'America/Havana', '2025-11-02 05:00Z',
    '2025-11-02 04:00 - 2025-11-03 05:00'),
  ('before one with two midnights', 'America/Havana', '2025-11-02 03:59Z',
    '2025-11-01 04:00 - 2025-11-02 04:00'),
  ('without midnight, in Havana', 'America/Havana', '2025-03-09 05:00Z',
    '2025-03-09 05:00 - 2025-03-10 04:00'),
  ('without midnight, in Cairo', 'Africa/Cairo', '2025-04-25 12:00Z',
    '2025-04-24 22:00 - 2025-04-25 21:00'),
  ('without midnight, in Beirut', 'Asia/Beirut', '2025-03-30 12:00Z',
    '2025-03-29 22:00 - 2025-03-30 21:00'),
  ('without midnight, in Santiago', 'America/Santiago', '2025-09-07 12:00Z',
    '2025-09-07 04:00 - 2025-09-08 03:00'),
  ('of 25 hours, the last one twice', 'America/Santiago', '2025-04-06 03:30Z',
    '2025-04-05 03:00 - 2025-04-06 04:00'),
  ('before one that was skipped', 'Pacific/Apia', '2011-12-30 09:59Z',
    '2011-12-29 10:00 - 2011-12-30 10:00'),
  ('after one that was skipped', 'Pacific/Apia', '2011-12-30 10:00Z',
    '2011-12-30 10:00 - 2011-12-31 10:00'),
  ('does not come back, when clocks go back over midnight', 'America/St_Johns',
    '2010-11-07 02:45Z', '2010-11-07 02:30 - 2010-11-08 03:30'),
  ('with a gap around midnight', 'America/Toronto', '1919-03-31 12:00Z',
    '1919-03-31 04:30 - 1919-04-01 04:00')
) as c (name, zone, at, expected);

-- Others ----------------------------------------------------------------------------------------

select is(tap.window_of(c.per, c.zone, c.at), c.expected, c.name) from (values
  ('a minute', 'minute', 'Asia/Kolkata', '2025-06-01 18:29:59Z',
    '2025-06-01 18:29 - 2025-06-01 18:30'),
  ('an hour', 'hour', 'UTC', '2025-06-01 18:29Z', '2025-06-01 18:00 - 2025-06-01 19:00'),
  ('an hour of a half-hour zone', 'hour', 'Asia/Kolkata', '2025-06-01 18:29Z',
    '2025-06-01 17:30 - 2025-06-01 18:30'),
  ('an hour of a quarter-hour zone', 'hour', 'Asia/Kathmandu', '2025-06-01 18:29Z',
    '2025-06-01 18:15 - 2025-06-01 19:15'),
  ('the hour that is there twice, first', 'hour', 'Europe/Berlin', '2025-10-26 00:30Z',
    '2025-10-26 00:00 - 2025-10-26 01:00'),
  ('the hour that is there twice, second', 'hour', 'Europe/Berlin', '2025-10-26 01:30Z',
    '2025-10-26 01:00 - 2025-10-26 02:00'),
  ('an hour before clocks go back by half of one', 'hour', 'Australia/Lord_Howe',
    '2026-04-04 14:59Z', '2026-04-04 14:00 - 2026-04-04 15:00'),
  ('an hour after that', 'hour', 'Australia/Lord_Howe', '2026-04-04 15:00Z',
    '2026-04-04 15:00 - 2026-04-04 15:30'),
  ('the next hour', 'hour', 'Australia/Lord_Howe', '2026-04-04 15:30Z',
    '2026-04-04 15:30 - 2026-04-04 16:30'),
  ('an hour before clocks go ahead by half of one', 'hour', 'Australia/Lord_Howe',
    '2026-10-03 15:00Z', '2026-10-03 14:30 - 2026-10-03 15:30'),
  ('an hour after clocks went ahead by half of one', 'hour', 'Australia/Lord_Howe',
    '2026-10-03 15:30Z', '2026-10-03 15:30 - 2026-10-03 16:00'),
  ('an hour that a change of clocks cuts short', 'hour', 'America/Caracas', '2016-05-01 06:45Z',
    '2016-05-01 06:30 - 2016-05-01 07:00'),
  ('a week begins on Monday', 'week', 'UTC', '2025-01-05 23:59Z',
    '2024-12-30 00:00 - 2025-01-06 00:00'),
  ('a week of a zone', 'week', 'Europe/Berlin', '2025-03-30 21:59Z',
    '2025-03-23 23:00 - 2025-03-30 22:00'),
  ('a month of 28 days', 'month', 'UTC', '2025-02-28 12:00Z',
    '2025-02-01 00:00 - 2025-03-01 00:00'),
  ('a month with a leap day', 'month', 'UTC', '2024-02-29 23:59:59Z',
    '2024-02-01 00:00 - 2024-03-01 00:00'),
  ('a month of a zone', 'month', 'Europe/Berlin', '2025-10-31 23:00Z',
    '2025-10-31 23:00 - 2025-11-30 23:00'),
  ('a month that begins without midnight', 'month', 'America/Asuncion', '2017-10-01 12:00Z',
    '2017-10-01 04:00 - 2017-11-01 03:00'),
  ('a year', 'year', 'Pacific/Auckland', '2024-12-31 10:59Z',
    '2023-12-31 11:00 - 2024-12-31 11:00'),
  ('a leap day''s year', 'year', 'UTC', '2024-02-29 12:00Z',
    '2024-01-01 00:00 - 2025-01-01 00:00'),
  ('a zone that the server does not know counts as UTC', 'day', 'Nowhere/Atlantis',
    '2025-06-01 12:00Z', '2025-06-01 00:00 - 2025-06-02 00:00')
) as c (name, per, zone, at, expected);

select is(baseledger._window('ever', 'UTC', now()), tstzrange('-infinity', 'infinity'),
  'ever has no bounds');
select ok(isfinite(lower(baseledger._window('ever', 'UTC', now()))) = false
  and not lower_inf(baseledger._window('ever', 'UTC', now())), 'which are infinity, not null');

-- Every zone, around every change of its clocks in three years ----------------------------------

-- Zones that change alike are tried once.
create temp table changes as
  select distinct on (f.at, d.before, d.after) d.name, f.at
    from (
      select z.name, s.at, o.after,
          lag(o.after) over (partition by z.name order by s.at) as before
        from pg_timezone_names z
        cross join generate_series(
          timestamptz '2023-12-31 00:00Z', timestamptz '2027-01-03 00:00Z', interval '168 hours'
        ) as s (at)
        cross join lateral (
          select s.at at time zone z.name - s.at at time zone 'UTC'
        ) as o (after)
        where z.name like '%/%' and z.name !~ '^(posix|right)/'
    ) as d
    cross join lateral (
      select baseledger._find_clock_change(d.name, d.at - interval '168 hours', d.at)
    ) as f (at)
    where d.after <> d.before
    order by f.at, d.before, d.after, d.name;
select is_empty($$
  select c.*
    from changes c
    where c.at at time zone c.name - (c.at - interval '1 microsecond') at time zone c.name
      = interval '1 microsecond'
$$, 'each is a change');
select ok((select count(*) > 100 from changes), 'there are many');

create temp table windows as
  select c.name, p.per, i.at, baseledger._window(p.per, c.name, i.at) as period
    from changes c
    cross join unnest('{hour,day,week,month}'::text[]) as p (per)
    cross join unnest(
      '{-24 hours,-0.5 hours,-0.000001 seconds,0 hours,0.5 hours,1 hour,23 hours}'::interval[]
    ) as o (distance)
    cross join lateral (select c.at + o.distance) as i (at);
select is_empty('select * from windows w where not w.period @> w.at',
  'an instant lies in its window');
select is_empty($$
  select w.name, w.per, w.period
    from (select distinct name, per, period from windows) as w
    where baseledger._window(w.per, w.name, lower(w.period)) <> w.period
      or baseledger._window(w.per, w.name, upper(w.period) - interval '1 microsecond') <> w.period
      or lower(baseledger._window(w.per, w.name, upper(w.period))) <> upper(w.period)
      or upper(baseledger._window(w.per, w.name, lower(w.period) - interval '1 microsecond'))
        <> lower(w.period)
$$, 'a window is the same from its first to its last instant, and meets the next and the last');
select is_empty($$
  select w.*
    from windows w
    where w.per <> 'hour'
      and (
        date_trunc(w.per, lower(w.period) at time zone w.name)
          <> date_trunc('day', lower(w.period) at time zone w.name)
        or (lower(w.period) - interval '1 microsecond') at time zone w.name
          >= date_trunc(w.per, lower(w.period) at time zone w.name)
      )
$$, 'a window begins with the first instant of its first date');

-- What a session sets ---------------------------------------------------------------------------

create temp table sample as
  select p.per, z.name, i.at, baseledger._window(p.per, z.name, i.at) as period
    from unnest('{minute,hour,day,week,month,year,ever}'::text[]) as p (per)
    cross join unnest('{UTC,Asia/Kolkata,America/Havana,Nowhere/Atlantis}'::text[]) as z (name)
    cross join unnest(
      '{2025-11-02 04:30Z,2025-03-30 01:30Z,2024-02-29 23:30Z}'::timestamptz[]
    ) as i (at);
create function pg_temp.differences() returns setof sample language sql as $$
  select * from sample s where baseledger._window(s.per, s.name, s.at) <> s.period
$$;
set local timezone = 'Pacific/Apia';
set local timezone_abbreviations = 'Australia';
select is_empty('select * from pg_temp.differences()', 'another zone changes no window');
-- PostgreSQL 18 would take UTC for its abbreviation.
set local timezone = 'UTC5';
select is_empty('select * from pg_temp.differences()', 'nor does one that calls itself UTC');
set local datestyle = 'German';
set local intervalstyle = 'sql_standard';
select is_empty('select * from pg_temp.differences()', 'nor do other settings of a session');

select * from finish();
rollback;
