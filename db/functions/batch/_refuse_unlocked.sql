-- Fills in the answers to commands whose wallets were not locked: refusals, as the command itself
-- is refused already, there is no such wallet, or somebody else has it.
create or replace function baseledger._refuse_unlocked(
  p_receipts baseledger.receipt[],
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger.receipt[]
language plpgsql
stable
as $$
begin
  return (
    select array_agg(
        case
          when p_receipts[c.ordinality].wallet_id is not null then p_receipts[c.ordinality]
          else row(
            coalesce(c.wallet_id, ''), null, null, c.reservation_id, null, null, null, null, null,
            null, c.idempotency_key, false, r.code,
            case
              when c.refused is not null and c.detail is not null then c.detail
              when c.refused is not null then baseledger._describe_argument(
                baseledger._find_invalid_field(
                  c.op, c.idempotency_key, c.reservation_id, c.amount, c.at_least, c.ttl,
                  c.metadata, c.details, c.usage
                )
              )
              when r.code = 'LGARG' then baseledger._describe_argument('wallet_id')
              else jsonb_build_object('wallet_id', c.wallet_id)
            end
          )::baseledger.receipt
        end
        order by c.ordinality
      )
      from (
        select u.*, p_wallet_of[u.ordinality] as wallet_id
          from unnest(p_commands) with ordinality as u
      ) as c
      cross join lateral (
        select case
          when c.refused is not null then c.refused
          when baseledger._is_impossible_id(c.wallet_id) then 'LGARG'
          when exists (
            select from baseledger.wallets w
              where w.wallet_id = c.wallet_id
                -- What he has opened can be settled by post by one who has lost his access.
                and (
                  not w.restricted
                  or baseledger._may_send(
                    w.wallet_id, c.idempotency_key, c.reservation_id
                  )
                )
          )
            then 'LGBSY'
          else 'LGWNF'
        end as code
      ) as r
  );
end
$$;

revoke all on function baseledger._refuse_unlocked from public;
