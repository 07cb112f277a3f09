-- What each event with usage has cost, as recorded, and computed again from its usage and its price
-- row. On purpose not by _cost, as verify() compares the two.
--
-- Values that only a journal that was tampered with has must not end the query.
create view baseledger.costs as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  p.provider || '/' || p.model as model,
  p.variant,
  e.details -> 'usage' as usage,
  r.price_id,
  r.amount,
  c.cost,
  coalesce(
    c.cost = r.amount
      and p.currency = w.unit
      and e.event in ('reserved', 'settled', 'charged')
      and (
        e.event = 'settled'
        or p.variant = coalesce(e.details -> 'usage' ->> 'variant', 'standard')
          and p.provider || '/' || p.model
            = coalesce(e.details ->> 'model', e.details -> 'usage' ->> 'model')
      ),
    false
  ) as agrees
from baseledger.events e
join baseledger.wallets w on w.wallet_id = e.wallet_id
cross join lateral (
  select
    case when e.details -> 'price' between '1' and '9223372036854775807'
      then (e.details -> 'price')::bigint
    end,
    case when jsonb_typeof(e.details -> 'requested') = 'number'
      then (e.details -> 'requested')::numeric
      else e.amount
    end
) as r(price_id, amount)
left join baseledger.price_rows p on p.price_id = r.price_id
cross join lateral (
  select case
    -- Each kind has a count and a rate.
    when count(u.count * u.rate) = count(*)
      then ceil(sum(u.count * u.rate) * ('1e' || (w.scale - 15))::numeric)
  end
  from (
    select
      case when jsonb_typeof(k.value) = 'number' then k.value::numeric end,
      (p.rates -> k.key)::numeric
    from jsonb_each(
      case when jsonb_typeof(e.details -> 'usage') = 'object' then e.details -> 'usage' end
    ) as k
    where k.key not in ('model', 'variant')
  ) as u(count, rate)
) as c(cost)
where e.details ?| '{usage,price}';

comment on view baseledger.costs is
  'What each event with usage has cost: the amount on record (of a reservation with p_at_least, '
  'what was asked for), and the cost, computed again from the recorded usage and its price row, '
  'both in the wallet''s smallest step. agrees says whether these are equal, and the price row is '
  'one of the model and the variant, in the wallet''s unit; verify() reports each event where they '
  'are not.';
comment on column baseledger.costs.model is 'provider/model of the price row, an alias resolved.';
comment on column baseledger.costs.amount is 'On record, or asked for with p_at_least.';
comment on column baseledger.costs.cost is
  'Computed again; null if the price row is missing, or has no rate for some kind.';
revoke all on baseledger.costs from public;
grant select on baseledger.costs to baseledger_auditor;
