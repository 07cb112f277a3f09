-- Parses the commands of a batch, strictly: p_commands must be an array of at most 10,000 objects,
-- or the whole call is refused; an unknown operation, an unknown field, a value of the wrong type
-- or one that is not allowed refuses that command alone. A field that is null counts as absent.
--
-- The usual forms of amounts and times are parsed right here; only others go through _parse_bigint
-- and _parse_ttl, which cost more.
create or replace function baseledger._parse_commands(p_commands jsonb, p_for_operators boolean)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_commands baseledger._command[];
begin
  if jsonb_typeof(p_commands) is distinct from 'array'
    or jsonb_array_length(p_commands) > 10000
    or exists (select from jsonb_array_elements(p_commands) e where jsonb_typeof(e) <> 'object')
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('commands'));
  end if;

  select array_agg(row(
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      null, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata, null
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail',
      r.key_at, r.hold_at
    )::baseledger._command order by r.n)
    into v_commands
    from (
      select t.*,
          min(t.n) over (partition by t.idempotency_key collate "C") as key_at,
          min(t.n) over (partition by t.reservation_id collate "C") as hold_at
        from (
          select v.n, v.op, v.idempotency_key, v.amount, v.at_least,
              coalesce(
                v.reservation_id,
                case when v.op in ('reserve', 'charge') then v.idempotency_key end
              ) as reservation_id,
              case when v.op = 'reserve' then baseledger._default_ttl(v.ttl) else v.ttl end as ttl,
              v.final is distinct from 'false' as final,
              coalesce(v.metadata, '{}') as metadata,
              case when v.fields is null
                or v.c - v.fields <> '{}'
                or jsonb_typeof(v.c -> 'op') <> 'string'
                or jsonb_typeof(v.c -> 'idempotency_key') not in ('string', 'null')
                or jsonb_typeof(v.c -> 'reservation_id') not in ('string', 'null')
                or v.amount is null and v.given_amount is not null
                or v.at_least is null and v.given_at_least is not null
                or v.ttl is null and v.given_ttl is not null
                or v.final is not null and jsonb_typeof(v.c -> 'final') <> 'boolean'
              then baseledger._explain_parse_error(v.c, v.op, v.fields) end as problem
            from (
              select e.c, e.n, e.op, o.fields, e.idempotency_key, e.reservation_id, e.final,
                  e.metadata,
                  e.amount as given_amount,
                  case when ltrim(e.amount, '0123456789') = ''
                      and length(e.amount) between 1 and 18
                      then e.amount::bigint
                    when e.amount is not null then baseledger._parse_bigint(e.c -> 'amount')
                  end as amount,
                  e.at_least as given_at_least,
                  case when e.at_least is not null then baseledger._parse_bigint(e.c -> 'at_least')
                  end as at_least,
                  e.ttl as given_ttl,
                  case when ltrim(e.ttl, '0123456789') = '' and length(e.ttl) between 1 and 8
                      then make_interval(secs => e.ttl::integer)
                    when e.ttl is not null then baseledger._parse_ttl(e.c -> 'ttl')
                  end as ttl
                from rows from (
                  jsonb_array_elements(p_commands),
                  jsonb_to_recordset(p_commands) as (
                    op text, idempotency_key text, reservation_id text, amount text, at_least text,
                    ttl text, final text, metadata jsonb
                  )
                ) with ordinality as e(
                  c, op, idempotency_key, reservation_id, amount, at_least, ttl, final, metadata, n
                )
                left join baseledger._batch_operations() as o
                  on o.operation = e.op and (p_for_operators or not o.for_operators)
                -- each value is computed once, however often it is named
                offset 0
            ) as v
            offset 0
        ) as t
    ) as r;
  return coalesce(v_commands, '{}');
end
$$;

revoke all on function baseledger._parse_commands from public;
