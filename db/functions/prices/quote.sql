-- What usage costs at an instant, in a wallet of this scale and the price's currency.
create or replace function baseledger.quote(
  p_usage jsonb,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns baseledger.quote
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  return baseledger._quote(p_usage, coalesce(p_at, clock_timestamp()), p_scale, null);
end
$$;

comment on function baseledger.quote is
  e'What usage costs, without spending anything: what reserve, settle or charge would take for it '
  'in a wallet of this scale whose unit is the price''s currency. Refused with LGARG, LGPRC.'
  '\np_usage: {"model": "openai/gpt-5", "variant": "standard", "input": 1200, "output": 512}: the '
  'model or an alias, a variant that is not standard, and whole numbers of what was used. '
  '@type(Usage)'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.quote from public;
grant execute on function baseledger.quote
  to baseledger_agent, baseledger_operator, baseledger_auditor;
