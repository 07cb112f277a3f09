-- Double entry: what each event moved between the four accounts of its wallet. The balances of
-- the event before are one probe of the primary key away.
create or replace view baseledger.postings as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  l.account,
  l.amount
from baseledger.events e
left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
cross join lateral (
  values
    ('funding', coalesce(b.available, 0)::numeric + coalesce(b.reserved, 0) + coalesce(b.spent, 0)
      - e.available - e.reserved - e.spent),
    ('available', e.available::numeric - coalesce(b.available, 0)),
    ('reserved', e.reserved::numeric - coalesce(b.reserved, 0)),
    ('spent', e.spent::numeric - coalesce(b.spent, 0))
) as l(account, amount)
where l.amount <> 0;

comment on view baseledger.postings is
  'The journal in double entry: for each event one line for each of the accounts funding, '
  'available, reserved and spent that it changed, in the wallet''s smallest step. The lines of an '
  'event sum to zero; those of an account sum to its balance.';
revoke all on baseledger.postings from public;
grant select on baseledger.postings to baseledger_auditor;
