-- The first field of a price in JSON that is unknown, or has a value of the wrong type; null if
-- there is none. A field that is null counts as absent.
create or replace function baseledger._find_unreadable_field(p_price jsonb)
returns text
language plpgsql
stable
as $$
begin
  return coalesce(
    (
      select min(f.name collate "C")
        from jsonb_object_keys(p_price) as f (name)
        where f.name not in ('model', 'rates', 'variant', 'above', 'valid_from', 'currency',
          'context_window', 'max_output', 'alias_of')
    ),
    (
      select min(f.key collate "C")
        from jsonb_each(p_price) as f
        where f.value <> 'null'
          and case
            when f.key in ('model', 'variant', 'currency', 'alias_of')
              then jsonb_typeof(f.value) <> 'string'
            when f.key in ('above', 'context_window', 'max_output')
              then baseledger._parse_bigint(f.value) is null
            when f.key = 'valid_from'
              then baseledger._read_valid_from(f.value) is null
            else false
          end
    )
  );
end
$$;

revoke all on function baseledger._find_unreadable_field from public;
