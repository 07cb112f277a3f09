-- The doctor's check of limits: a zone that a later server does not know counts as UTC.
create or replace function baseledger._doctor_limits()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_unknown text;
begin
  select string_agg(format('%s of limit %s of %s', u.time_zone, u.limit_id, u.wallet_id)
      || case when u.limits > 1 then format(' and %s more', u.limits - 1) else '' end, '; '
      order by u.time_zone)
    into v_unknown
    from (
      select l.time_zone, min(l.wallet_id) as wallet_id, count(*) as limits,
          (array_agg(l.limit_id order by l.wallet_id, l.limit_id))[1] as limit_id
        from baseledger.limits l
        where l.time_zone <> 'UTC'
        group by l.time_zone
    ) as u
    where not exists (select from pg_timezone_names z where z.name = u.time_zone);
  return next baseledger._make_diagnosis(
    'time zones', case when v_unknown is not null then 'warning' end,
    coalesce(v_unknown, 'all known'), 'this server knows the zones of limits',
    'Its windows count as UTC. Update the server''s time zones, or remove the limit and set it '
      'again in another zone.'
  );
end
$$;

revoke all on function baseledger._doctor_limits from public;
