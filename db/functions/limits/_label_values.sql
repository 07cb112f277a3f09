-- The combination of a limit that labels belong to: their values, in the order of its `by`, which
-- has at most 4 names. A SQL function without settings, so that it is inlined; without a
-- sub-select, which would cost more than all the rest.
create or replace function baseledger._label_values(p_labels jsonb, p_by text[])
returns text[]
language sql
immutable
parallel safe
as $$
  select case pg_catalog.cardinality(p_by)
    when 0 then '{}'
    when 1 then array[baseledger._label_value(p_labels, p_by[1])]
    when 2 then array[
      baseledger._label_value(p_labels, p_by[1]), baseledger._label_value(p_labels, p_by[2])
    ]
    when 3 then array[
      baseledger._label_value(p_labels, p_by[1]), baseledger._label_value(p_labels, p_by[2]),
      baseledger._label_value(p_labels, p_by[3])
    ]
    else array[
      baseledger._label_value(p_labels, p_by[1]), baseledger._label_value(p_labels, p_by[2]),
      baseledger._label_value(p_labels, p_by[3]), baseledger._label_value(p_labels, p_by[4])
    ]
  end
$$;

revoke all on function baseledger._label_values from public;
