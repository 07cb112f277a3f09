-- For monitoring: how many alerts there are, by what has become of them. Reads all of them.
create or replace function baseledger.alert_counts()
returns setof baseledger.alert_count
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  return query
    select a.kind, a.state, count(*) from baseledger.alerts a group by 1, 2 order by 1, 2;
end
$$;

comment on function baseledger.alert_counts is
  'How many alerts there are, by kind and by the state of their delivery, as in the view alerts: '
  'one for several webhooks counts once for each. Reads all of them.';
revoke all on function baseledger.alert_counts from public;
grant execute on function baseledger.alert_counts
  to baseledger_worker, baseledger_operator, baseledger_auditor;
