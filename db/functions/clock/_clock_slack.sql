-- How far a wallet's last event may lie ahead of the server's clock and still stand for it: so that a
-- clock that is coarse, or is set back a little, makes no difference. A SQL function without settings,
-- so that it is inlined; stable, so that a plan knows that it depends on it. The view wallet_balances
-- says the same.
create or replace function baseledger._clock_slack()
returns interval
language sql
stable
parallel safe
as $$
  select interval '1 second'
$$;

revoke all on function baseledger._clock_slack from public;
