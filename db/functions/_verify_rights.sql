-- What is open that must not be: who could move or read more than his role says. A right that
-- somebody lacks is not unsound.
create or replace function baseledger._verify_rights()
returns setof baseledger.discrepancy
language sql
stable
as $$
  select null::text, null::bigint, 'rights',
      d.object || ': ' || d.expected, d.object || ': ' || d.found
    from baseledger._rights_differences() d
    where d.open
$$;

revoke all on function baseledger._verify_rights from public;
