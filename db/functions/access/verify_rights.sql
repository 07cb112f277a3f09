-- Rights that are open and must not be: who could move or read more than his role may. A right that
-- somebody lacks is no discrepancy. Reads the catalog only.
create or replace function baseledger.verify_rights()
returns setof baseledger.discrepancy
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
  select null::text, null::bigint, 'rights',
      d.object || ': ' || d.expected, d.object || ': ' || d.found
    from baseledger._find_rights_differences() d
    where d.open
$$;

comment on function baseledger.verify_rights is
  'Checks who owns the ledger''s objects and who may do what with them, and returns the rights '
  'that are open and must not be, as after a restore without owners and rights: no row = sound. '
  'verify of the whole ledger includes it. Reads only.';
revoke all on function baseledger.verify_rights from public;
grant execute on function baseledger.verify_rights to baseledger_auditor;
