-- Alerts on their way to webhooks.
create table baseledger.deliveries (
  wallet_id text collate "C" not null,
  seq bigint not null,
  number integer not null,
  webhook_id text collate "C" not null,
  state text not null default 'pending',
  attempts integer not null default 0,
  due_at timestamptz not null default '-infinity',
  suppressed bigint,
  last_error text,
  ended_at timestamptz,
  constraint deliveries_pkey primary key (wallet_id, seq, number, webhook_id)
);

comment on table baseledger.deliveries is
  'One row for each alert and each webhook that there was when it was raised, written in the '
  'transaction of its command.';
comment on column baseledger.deliveries.state is
  'pending, sent, failed (given up), or suppressed (counted in a later one instead).';
comment on column baseledger.deliveries.attempts is 'Requests that have begun.';
comment on column baseledger.deliveries.due_at is
  'While pending: when a worker queues it, the first time or because its job was lost.';
comment on column baseledger.deliveries.suppressed is
  'How many before it were suppressed and are counted in it; null until it is queued first.';

-- For the workers: what is to be queued.
create index deliveries_due_at_idx on baseledger.deliveries (due_at, wallet_id, seq)
  where state = 'pending';
