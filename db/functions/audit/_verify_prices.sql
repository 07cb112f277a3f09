-- Checks what usage cost in wallets p_first to p_last (null: to the end): returns what does not
-- agree by the view costs. For an event that takes as long as all other checks together, so that
-- most are cleared first in a shorter way, which needs a price row of at most eight kinds.
create or replace function baseledger._verify_prices(p_first text, p_last text)
returns setof baseledger.discrepancy
language plpgsql
stable
set enable_nestloop = off
as $$
declare
  v_event record;
begin
  for v_event in
    select e.wallet_id, e.seq
      from (
        select l.wallet_id, l.seq, l.event, l.amount, l.details, l.details -> 'usage' as usage,
            case when l.details -> 'price' between '1' and '9223372036854775807'
              then (l.details -> 'price')::bigint
            end as price_id
          from baseledger.events l
          where l.wallet_id >= p_first
            and l.wallet_id <= coalesce(p_last, l.wallet_id)
            and l.details ?| '{usage,price}'
          offset 0
      ) as e
      left join (
        select l.wallet_id, l.unit, ('1e' || (l.scale - 15))::numeric as step
          from baseledger.wallets l
          where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
          offset 0
      ) as w on w.wallet_id = e.wallet_id
      left join (
        select l.price_id, l.currency, l.model, l.variant, l.kinds || '{model,variant}' as names,
            l.kinds[1] as k1, (l.rates -> l.kinds[1])::numeric as r1,
            l.kinds[2] as k2, (l.rates -> l.kinds[2])::numeric as r2,
            l.kinds[3] as k3, (l.rates -> l.kinds[3])::numeric as r3,
            l.kinds[4] as k4, (l.rates -> l.kinds[4])::numeric as r4,
            l.kinds[5] as k5, (l.rates -> l.kinds[5])::numeric as r5,
            l.kinds[6] as k6, (l.rates -> l.kinds[6])::numeric as r6,
            l.kinds[7] as k7, (l.rates -> l.kinds[7])::numeric as r7,
            l.kinds[8] as k8, (l.rates -> l.kinds[8])::numeric as r8
          from (
            select r.price_id, r.currency, r.provider || '/' || r.model as model, r.variant,
                r.rates, array(select jsonb_object_keys(r.rates)) as kinds
              from baseledger.price_rows r
              offset 0
          ) as l
          where cardinality(l.kinds) <= 8
          offset 0
      ) as p on p.price_id = e.price_id
      where (
        ceil((
          baseledger._apply_rate(e.usage -> p.k1, p.r1)
          + baseledger._apply_rate(e.usage -> p.k2, p.r2)
          + baseledger._apply_rate(e.usage -> p.k3, p.r3)
          + baseledger._apply_rate(e.usage -> p.k4, p.r4)
          + baseledger._apply_rate(e.usage -> p.k5, p.r5)
          + baseledger._apply_rate(e.usage -> p.k6, p.r6)
          + baseledger._apply_rate(e.usage -> p.k7, p.r7)
          + baseledger._apply_rate(e.usage -> p.k8, p.r8)
        ) * w.step) = e.amount
        and p.currency = w.unit
        and e.details -> 'requested' is null
        and jsonb_typeof(e.usage) = 'object'
        and e.usage - p.names = '{}'
        and (
          e.event = 'settled'
          or e.event in ('reserved', 'charged')
            and p.variant = coalesce(e.usage ->> 'variant', 'standard')
            and p.model = coalesce(e.details ->> 'model', e.usage ->> 'model')
        )
      ) is not true
  loop
    return query
      select c.wallet_id, c.seq, 'price',
          format('an amount of %s, what its usage costs by a row of its model',
            coalesce(c.cost::text, '…')),
          format('%s for usage %s by price row %s of %s',
            coalesce(c.amount::text, 'nothing'), c.usage, c.price_id, c.model)
        from baseledger.costs c
        where c.wallet_id = v_event.wallet_id and c.seq = v_event.seq and not c.agrees;
  end loop;
end
$$;

revoke all on function baseledger._verify_prices from public;
