-- Checks the amounts of wallets p_first to p_last (null: to the end) that were priced by the ledger
-- against their recorded usage and price rows. A pass of its own over the events, as the few bytes
-- more in each row of _verify_events would cost those without usage more.
create or replace function baseledger._verify_prices(p_first text, p_last text)
returns setof baseledger.discrepancy
language plpgsql
stable
as $$
begin
  return query
    select c.wallet_id, c.seq, 'price',
        format('an amount of %s, the cost of its usage by a row of its model',
          coalesce(c.cost::text, '…')),
        format('%s: usage %s, price row %s of %s', c.amount, c.usage, c.price_id, c.model)
      from baseledger.costs c
      where c.wallet_id >= p_first
        and c.wallet_id <= coalesce(p_last, c.wallet_id)
        and not c.agrees
      order by c.wallet_id, c.seq;
end
$$;

revoke all on function baseledger._verify_prices from public;
