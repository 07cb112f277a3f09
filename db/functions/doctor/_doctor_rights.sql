-- The doctor's checks of owners and rights.
create or replace function baseledger._doctor_rights()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_count bigint;
  v_open boolean;
  v_first text;
begin
  select count(*), bool_or(d.open), (array_agg(
      format('%s: %s instead of %s', d.object, d.found, d.expected) order by d.open desc, d.object
    ))[1]
    into v_count, v_open, v_first
    from baseledger._find_rights_differences() as d;
  return next baseledger._make_diagnosis(
    'rights', case when v_open then 'wrong' when v_count > 0 then 'warning' end,
    case when v_count = 0 then 'as they must be'
      else format('%s that differ, the first: %s', v_count, v_first) end,
    'owners and grants as BaseLedger makes them',
    'Run `baseledger migrate`, which repairs them. baseledger.verify_rights() lists open ones.'
  );
end
$$;

revoke all on function baseledger._doctor_rights from public;
