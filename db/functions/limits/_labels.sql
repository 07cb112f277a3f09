-- The labels of a command that opens a reservation: what its details say, else its metadata; with
-- usage, the label model is that of the usage, an alias resolved. A SQL function without settings,
-- so that it is inlined.
create or replace function baseledger._labels(p_details jsonb, p_metadata jsonb)
returns jsonb
language sql
immutable
parallel safe
as $$
  select case
    when p_details -> 'usage' is null then coalesce(p_details -> 'labels', p_metadata)
    else coalesce(p_details -> 'labels', p_metadata) || pg_catalog.jsonb_object(array[
      'model', coalesce(p_details ->> 'model', p_details -> 'usage' ->> 'model')
    ])
  end
$$;

revoke all on function baseledger._labels from public;
