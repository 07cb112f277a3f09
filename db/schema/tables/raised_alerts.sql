-- Alerts: spending has reached a percentage of a limit, or funds have fallen below an amount.
create table baseledger.raised_alerts (
  wallet_id text collate "C" not null,
  seq bigint not null,
  number integer not null,
  kind text not null,
  threshold bigint not null,
  limit_id text collate "C",
  label_values text[],
  amount numeric not null,
  value numeric not null,
  starts_at timestamptz,
  ends_at timestamptz,
  occurred_at timestamptz not null,
  constraint raised_alerts_pkey primary key (wallet_id, seq, number)
);

comment on table baseledger.raised_alerts is
  'One row for each threshold that a command has crossed, written in its transaction.';
comment on column baseledger.raised_alerts.seq is
  'The last event that was written with it: that of the command, or of its batch.';
comment on column baseledger.raised_alerts.number is 'Counts the alerts of that event from 1.';
comment on column baseledger.raised_alerts.kind is 'limit or low_balance.';
comment on column baseledger.raised_alerts.threshold is
  'limit: the percentage; low_balance: the amount that available + reserved fell below.';
comment on column baseledger.raised_alerts.amount is
  'limit: its amount; low_balance: the same as threshold.';
comment on column baseledger.raised_alerts.value is
  'limit: what was spent in the window; low_balance: available + reserved.';
