-- How far a wallet's last event may be ahead of the server's clock and still count as now, so that
-- a coarse clock, or one that is set back a little, makes no difference. A SQL function without
-- settings, so that it is inlined; stable, so that no plan takes it for a constant. The view
-- wallet_balances says the same.
create or replace function baseledger._clock_slack()
returns interval
language sql
stable
parallel safe
as $$
  select interval '1 second'
$$;

revoke all on function baseledger._clock_slack from public;
