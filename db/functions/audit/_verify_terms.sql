-- Checks the terms of wallets p_first to p_last (null: to the end) and who may use them against the
-- events: what the first one says, and what was changed since. One pass over the journal, as few of
-- its events are such.
--
-- In UTC, so that a time has the same text on both sides.
create or replace function baseledger._verify_terms(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  changes as materialized (
    select e.wallet_id, e.seq, e.event, e.occurred_at, e.details
      from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event in (
          'overdraft_limit_set', 'closed', 'reopened', 'allowed', 'disallowed', 'key_created',
          'key_revoked'
        )
  ),
  -- What was changed of the wallet itself.
  changed as (
    select c.wallet_id,
        (pg_catalog.array_agg(
          pg_catalog.jsonb_build_object('overdraft_limit', c.details -> 'overdraft_limit')
          order by c.seq desc
        ) filter (where c.event = 'overdraft_limit_set'))[1] as terms,
        (pg_catalog.array_agg(c.event = 'closed' order by c.seq desc)
          filter (where c.event in ('closed', 'reopened')))[1] as closed,
        pg_catalog.bool_or(c.event in ('allowed', 'key_created')) as restricted,
        coalesce(
          pg_catalog.max(c.seq) filter (where c.event = 'overdraft_limit_set'), 1
        ) as terms_seq,
        pg_catalog.max(c.seq) filter (where c.event in ('closed', 'reopened')) as closed_seq,
        pg_catalog.min(c.seq) filter (where c.event in ('allowed', 'key_created'))
          as restricted_seq
      from changes c
      group by c.wallet_id
  ),
  expected as (
    select w.wallet_id, coalesce(c.terms_seq, 1) as terms_seq, c.closed_seq,
        coalesce(c.restricted_seq, 1) as restricted_seq,
        (o.details - 'restricted') || coalesce(c.terms, '{}') as terms,
        coalesce(c.closed, false) as closed,
        coalesce(c.restricted or o.details @> '{"restricted": true}', false) as restricted
      from w
      left join changed c on c.wallet_id = w.wallet_id
      left join lateral (
        select l.details from baseledger.events l
          where l.wallet_id = w.wallet_id and l.seq = 1 and l.event = 'opened'
          limit 1
      ) as o on true
  ),
  roles as (
    select *
      from (
        select distinct on (c.wallet_id, c.details ->> 'role')
            c.wallet_id, c.seq, c.event, c.details ->> 'role' as role_name,
            c.details -> 'labels' as labels, c.details -> 'free_labels' as free_labels,
            c.occurred_at
          from changes c
          where c.event in ('allowed', 'disallowed')
          order by c.wallet_id, c.details ->> 'role', c.seq desc
      ) as l
      where l.event = 'allowed'
  ),
  made as (
    select c.wallet_id, c.seq, c.details ->> 'key_id' as key_id,
        c.details -> 'labels' as labels, c.details -> 'free_labels' as free_labels,
        c.occurred_at, c.details -> 'expires_at' as expires_at,
        c.details ->> 'secret_sha256' as secret_sha256,
        (
          select pg_catalog.min(r.occurred_at) from changes r
            where r.wallet_id = c.wallet_id
              and r.event = 'key_revoked'
              and r.details ->> 'key_id' = c.details ->> 'key_id'
        ) as revoked_at
      from changes c
      where c.event = 'key_created'
  )
  select w.wallet_id, x.terms_seq, 'terms', x.terms::text, f.terms::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    cross join lateral (
      select pg_catalog.jsonb_build_object(
        'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
      )
    ) as f(terms)
    where x.terms is distinct from f.terms
  union all
  select w.wallet_id, x.closed_seq, 'closed', x.closed::text, w.closed::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    where w.closed is distinct from x.closed
  union all
  select w.wallet_id, x.restricted_seq, 'restricted', x.restricted::text, w.restricted::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    where w.restricted is distinct from x.restricted
  union all
  select coalesce(r.wallet_id, g.wallet_id), r.seq, 'grant',
      case when r.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, at %s', r.role_name, r.labels, r.free_labels, r.occurred_at
      ) end,
      case when g.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, at %s', g.role_name, g.labels,
        pg_catalog.to_jsonb(g.free_labels), g.granted_at
      ) end
    from roles r
    full join (
      select * from baseledger.grants l
        where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    ) as g on g.wallet_id = r.wallet_id and g.role_name = r.role_name
    where (r.wallet_id, r.labels, r.free_labels, r.occurred_at)
      is distinct from (g.wallet_id, g.labels, pg_catalog.to_jsonb(g.free_labels), g.granted_at)
  union all
  select coalesce(m.wallet_id, k.wallet_id), m.seq, 'key',
      case when m.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, made %s, until %s, revoked %s, sha256 %s', m.key_id, m.labels,
        m.free_labels, m.occurred_at, m.expires_at #>> '{}', m.revoked_at, m.secret_sha256
      ) end,
      case when k.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, made %s, until %s, revoked %s, sha256 %s', k.key_id, k.labels,
        pg_catalog.to_jsonb(k.free_labels), k.created_at,
        pg_catalog.to_jsonb(k.expires_at) #>> '{}', k.revoked_at,
        pg_catalog.encode(k.secret_sha256, 'hex')
      ) end
    from made m
    full join (
      select * from baseledger.keys l
        where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    ) as k on k.wallet_id = m.wallet_id and k.key_id = m.key_id
    where (
        m.wallet_id, m.labels, m.free_labels, m.occurred_at, m.expires_at #>> '{}', m.revoked_at,
        m.secret_sha256
      ) is distinct from (
        k.wallet_id, k.labels, pg_catalog.to_jsonb(k.free_labels), k.created_at,
        pg_catalog.to_jsonb(k.expires_at) #>> '{}', k.revoked_at,
        pg_catalog.encode(k.secret_sha256, 'hex')
      )
$$;

revoke all on function baseledger._verify_terms from public;
