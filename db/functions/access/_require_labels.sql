-- Refuses labels that no grant and no key may have.
create or replace function baseledger._require_labels(p_labels jsonb, p_free_labels text[])
returns void
language plpgsql
volatile
as $$
begin
  if p_labels is null
    or jsonb_typeof(p_labels) <> 'object'
    or (
      select count(*) > 16
          or bool_or(
            jsonb_typeof(l.value) <> 'string'
            or octet_length(l.key) not between 1 and 255
            or octet_length(l.value #>> '{}') not between 1 and 255
          )
        from jsonb_each(
          case when jsonb_typeof(p_labels) = 'object' then p_labels else '{}' end
        ) as l
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('labels'));
  end if;
  if p_free_labels is null
    or array_ndims(p_free_labels) > 1
    or cardinality(p_free_labels) > 16
    or exists (
      select from unnest(p_free_labels) as f(name)
        where f.name is null or octet_length(f.name) not between 1 and 255
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('free_labels'));
  end if;
end
$$;

revoke all on function baseledger._require_labels from public;
