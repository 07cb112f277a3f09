-- Reads the commands of a batch from JSON, strictly: an unknown operation, an unknown field, a
-- value of the wrong type or one that is not allowed refuses that command alone. A field that is
-- null counts as absent. With p_several, each names its wallet.
--
-- The usual forms of amounts and times are parsed right here; only others go through _parse_bigint
-- and _parse_ttl, which cost more. A SQL function without settings, so that it is inlined.
create or replace function baseledger._read_commands(
  p_commands jsonb,
  p_for_operators boolean,
  p_several boolean
)
returns table (
  place bigint,
  wallet_id text,
  idempotency_key text,
  reservation_id text,
  usage jsonb,
  command baseledger._command
)
language sql
stable
as $$
  select r.place, r.wallet_id, r.idempotency_key, r.reservation_id, r.usage, row(
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      case when r.already_spent = 'true' then '{"already_spent": true}'::jsonb end, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata,
          null, r.usage
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail', null, null, r.usage
    )::baseledger._command
    from (
      select v.place, v.op, v.wallet_id, v.idempotency_key, v.amount, v.at_least,
          v.already_spent, v.usage,
          coalesce(
            v.reservation_id,
            case when v.op in ('reserve', 'charge') then v.idempotency_key end
          ) as reservation_id,
          case when v.op = 'reserve' then baseledger._default_ttl(v.ttl) else v.ttl end as ttl,
          v.final is distinct from 'false' as final,
          coalesce(v.metadata, '{}') as metadata,
          case when v.fields is null
            or v.command - v.fields <> '{}'
            or p_several and jsonb_typeof(v.command -> 'wallet_id') is distinct from 'string'
            or jsonb_typeof(v.command -> 'idempotency_key') not in ('string', 'null')
            or jsonb_typeof(v.command -> 'reservation_id') not in ('string', 'null')
            or v.amount is null and v.given_amount is not null
            or v.at_least is null and v.given_at_least is not null
            or v.ttl is null and v.given_ttl is not null
            or v.final is not null and jsonb_typeof(v.command -> 'final') <> 'boolean'
            or v.already_spent is not null
              and jsonb_typeof(v.command -> 'already_spent') <> 'boolean'
          then baseledger._explain_parse_error(v.command, v.op, v.fields, p_several)
          end as problem
        from (
          select e.command, e.place, e.op, o.fields, e.idempotency_key, e.reservation_id,
              e.final, e.metadata, e.wallet_id, e.already_spent, e.usage,
              e.amount as given_amount,
              case when ltrim(e.amount, '0123456789') = '' and length(e.amount) between 1 and 18
                  then e.amount::bigint
                when e.amount is not null
                  then baseledger._parse_bigint(e.command -> 'amount')
              end as amount,
              e.at_least as given_at_least,
              case when e.at_least is not null
                then baseledger._parse_bigint(e.command -> 'at_least')
              end as at_least,
              e.ttl as given_ttl,
              case when ltrim(e.ttl, '0123456789') = '' and length(e.ttl) between 1 and 8
                  then make_interval(secs => e.ttl::integer)
                when e.ttl is not null then baseledger._parse_ttl(e.command -> 'ttl')
              end as ttl
            from rows from (
              jsonb_array_elements(p_commands),
              jsonb_to_recordset(p_commands) as (
                op text, wallet_id text, idempotency_key text, reservation_id text, amount text,
                at_least text, ttl text, final text, metadata jsonb, already_spent text, usage jsonb
              )
            ) with ordinality as e(
              command, op, wallet_id, idempotency_key, reservation_id, amount, at_least, ttl,
              final, metadata, already_spent, usage, place
            )
            left join (
              select b.operation,
                  case when p_several then b.fields || 'wallet_id'::text else b.fields end as fields
                from baseledger._batch_operations() as b
                where p_for_operators or not b.for_operators
                offset 0
            ) as o on o.operation = e.op
            -- each value is computed once, however often it is named
            offset 0
        ) as v
        offset 0
    ) as r
$$;

revoke all on function baseledger._read_commands from public;
