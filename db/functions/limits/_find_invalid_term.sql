-- The first argument of set_limit that is no term of a limit; null if all are. A zone is UTC or an
-- Area/City: the other names that PostgreSQL takes mean what a session's settings say, or one
-- offset for ever.
create or replace function baseledger._find_invalid_term(
  p_limit_id text,
  p_amount bigint,
  p_per text,
  p_by text[],
  p_of text,
  p_time_zone text,
  p_hard boolean,
  p_alert_at integer[]
)
returns text
language plpgsql
stable
as $$
begin
  return case
    when baseledger._is_impossible_id(p_limit_id) or baseledger._is_ambiguous_name(p_limit_id)
      then 'limit_id'
    when p_by is null
      or array_ndims(p_by) > 1
      or cardinality(p_by) > 4
      or (
        select count(distinct b.name) filter (where octet_length(b.name) between 1 and 255)
          from unnest(p_by) as b (name)
      ) <> cardinality(p_by)
      then 'by'
    when p_amount < 0 or p_amount is null and p_by = '{}'
      then 'amount'
    when p_of is null or p_of not in ('amount', 'calls', 'open', 'tokens')
      then 'of'
    when p_per is null
      or p_per not in ('minute', 'hour', 'day', 'week', 'month', 'year', 'ever')
      or p_of = 'open' and p_per <> 'ever'
      then 'per'
    when p_hard is null
      then 'hard'
    when p_alert_at is null
      or array_ndims(p_alert_at) > 1
      or cardinality(p_alert_at) > case p_of when 'open' then 0 else 10 end
      or (
        select count(distinct a.percentage) filter (where a.percentage between 1 and 1000)
          from unnest(p_alert_at) as a (percentage)
      ) <> cardinality(p_alert_at)
      then 'alert_at'
    when p_time_zone is null
      or p_time_zone <> 'UTC' and (
        p_time_zone not like '%/%'
        or p_time_zone ~ '^(posix|right)/'
        or not exists (select from pg_timezone_names z where z.name = p_time_zone)
      )
      then 'time_zone'
  end;
end
$$;

revoke all on function baseledger._find_invalid_term from public;
