-- The events, all of them and as they are.
create or replace view baseledger.journal as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  e.amount,
  e.available,
  e.reserved,
  e.spent,
  e.expires_at,
  e.idempotency_key,
  e.actor,
  e.metadata,
  e.details,
  e.hash
from baseledger.events e;

comment on view baseledger.journal is
  'The journal: each wallet''s events in the order of seq, each with the balances after it, the '
  'database role that asked, and the hash that chains it to the one before (docs/hash-chain.md).';
revoke all on baseledger.journal from public;
grant select on baseledger.journal to baseledger_auditor;
