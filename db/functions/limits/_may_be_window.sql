-- Whether a window on record may be one: for ever without bounds, any other as long as its name
-- says, but for what the clocks of a zone may do.
create or replace function baseledger._may_be_window(
  p_per text,
  p_starts_at timestamptz,
  p_ends_at timestamptz
)
returns boolean
language sql
immutable
as $$
  select case
    when p_per = 'ever' then p_starts_at = '-infinity' and p_ends_at = 'infinity'
    when not pg_catalog.isfinite(p_starts_at) or not pg_catalog.isfinite(p_ends_at) then false
    else p_starts_at < p_ends_at
      and pg_catalog.extract('epoch', p_ends_at) - pg_catalog.extract('epoch', p_starts_at)
        <= 1.5 * pg_catalog.extract('epoch', ('1 ' || p_per)::interval)
  end
$$;

revoke all on function baseledger._may_be_window from public;
