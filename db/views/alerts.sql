-- What was raised, and what has become of it at each webhook.
create or replace view baseledger.alerts as
select
  a.wallet_id,
  a.seq,
  a.number,
  a.occurred_at,
  a.kind,
  a.threshold,
  a.limit_id,
  a.label_values,
  a.amount,
  a.value,
  a.starts_at,
  a.ends_at,
  d.webhook_id,
  coalesce(d.state, 'none') as state,
  coalesce(d.attempts, 0) as attempts,
  d.last_error,
  d.ended_at
from baseledger.raised_alerts a
left join baseledger.deliveries d
  on d.wallet_id = a.wallet_id and d.seq = a.seq and d.number = a.number;

comment on view baseledger.alerts is
  'Each alert, once for each webhook that there was when it was raised: a limit was used up to a '
  'percentage (threshold) of its amount, or available + reserved (value) fell below an amount. '
  'state says what has become of it: none (no webhook), pending, sent, failed (given up after a '
  'day, see last_error), or suppressed (there were too many; the next one that is sent says how '
  'many).';
revoke all on baseledger.alerts from public;
grant select on baseledger.alerts to baseledger_auditor;
