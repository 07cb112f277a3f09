-- Makes a row of the doctor: fine without a problem (warning or wrong), and only then without
-- advice.
create or replace function baseledger._make_diagnosis(
  p_check text,
  p_problem text,
  p_found text,
  p_expected text,
  p_advice text
)
returns baseledger.diagnosis
language sql
immutable
as $$
  select row(
      p_check, coalesce(p_problem, 'fine'), p_found, p_expected,
      case when p_problem is not null then p_advice end
    )::baseledger.diagnosis
$$;

revoke all on function baseledger._make_diagnosis from public;
