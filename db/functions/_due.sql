-- The expiries that a wallet has coming up to an instant, earliest first, as commands of the
-- system that follow the asked ones: without a key, so that they never meet the callers' keys.
create or replace function baseledger._due(
  p_wallet_id text,
  p_until timestamptz,
  p_limit integer,
  p_asked baseledger._command[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_due baseledger._command[];
begin
  select array_agg(row(
      'expire', null, d.reservation_id, d.held, null, null, null, '{}', null, d.expires_at,
      null, null, cardinality(p_asked) + d.n,
      coalesce(
        (select min(c.hold_at) from unnest(p_asked) as c where c.reservation_id = d.reservation_id),
        cardinality(p_asked) + d.n
      )
    )::baseledger._command order by d.n)
    into v_due
    from (
      select r.reservation_id, r.held, r.expires_at,
          row_number() over (order by r.expires_at, r.reservation_id)::integer as n
        from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.expires_at <= p_until
          and r.expires_at < 'infinity'
        order by r.expires_at, r.reservation_id
        limit p_limit
    ) as d;
  return coalesce(v_due, '{}');
end
$$;

revoke all on function baseledger._due from public;
