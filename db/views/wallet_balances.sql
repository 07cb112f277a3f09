-- Every wallet with its balances by deadline, as baseledger.balance() answers.
create or replace view baseledger.wallet_balances as
select
  w.wallet_id,
  w.unit,
  w.scale,
  w.available + d.due as available,
  w.reserved - d.due as reserved,
  w.spent,
  w.overdraft_limit,
  w.frozen,
  w.seq,
  w.last_event_at
from baseledger.wallets w
cross join lateral (
  select coalesce(sum(r.held), 0)::bigint
  from baseledger.reservations r
  where r.wallet_id = w.wallet_id
    and w.next_deadline <= greatest(statement_timestamp(), w.last_event_at)
    and r.expires_at <= greatest(statement_timestamp(), w.last_event_at)
    and r.expires_at < 'infinity'
) as d(due);

comment on view baseledger.wallet_balances is
  'Every wallet with its balances now, in its smallest step; reservations past their deadline '
  'count as returned.';
revoke all on baseledger.wallet_balances from public;
grant select on baseledger.wallet_balances to baseledger_auditor;
