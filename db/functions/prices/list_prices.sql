-- The prices that count at an instant, or all that ever were.
create or replace function baseledger.list_prices(
  p_prefix text default '',
  p_at timestamptz default null,
  p_history boolean default false
)
returns setof baseledger.price
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_at constant timestamptz := coalesce(p_at, clock_timestamp());
begin
  return query
    select p.price_id, p.model, p.variant, p.above, p.valid_from, p.rates, p.currency,
        p.context_window, p.max_output, p.alias_of, p.source, p.added_at, p.added_by
      from (
        select l.*,
            l.valid_from <= c_at
              and row_number() over (
                partition by l.model, l.variant, l.above, l.valid_from <= c_at
                order by l.valid_from desc, l.price_id desc
              ) = 1 as counts
          from baseledger.prices l
          where l.model ^@ coalesce(p_prefix, '')
      ) as p
      where p_history or p.counts
      order by p.model, p.variant, p.above, p.valid_from, p.price_id;
end
$$;

comment on function baseledger.list_prices is
  e'What models cost, and aliases of models: one row for each model, variant and tier (above), in '
  'the order of their names (byte by byte).'
  '\np_prefix: Only models (provider/model) and aliases whose name begins so. Default: all.'
  '\np_at: As of when; it may be a time to come. Default: now.'
  '\np_history: True: every price that was ever set, with those that hold later on.';
revoke all on function baseledger.list_prices from public;
grant execute on function baseledger.list_prices
  to baseledger_agent, baseledger_operator, baseledger_auditor;
