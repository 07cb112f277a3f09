-- The first term of an existing limit that is not as asked for but cannot change; null if there is
-- none.
create or replace function baseledger._find_changed_term(p_stored jsonb, p_given jsonb)
returns text
language sql
immutable
as $$
  select case
    when p_stored -> 'per' <> p_given -> 'per' then 'per'
    when p_stored -> 'by' <> p_given -> 'by' then 'by'
    when p_stored -> 'of' <> p_given -> 'of' then 'of'
    when p_stored -> 'time_zone' <> p_given -> 'time_zone' then 'time_zone'
  end
$$;

revoke all on function baseledger._find_changed_term from public;
