-- What wallets_ahead returns.
create type baseledger.wallets_ahead as (
  as_of timestamptz,
  wallets bigint,
  wallet_id text,
  last_event_at timestamptz
);
comment on type baseledger.wallets_ahead is 'Wallets whose last event lies ahead of the clock.';
comment on column baseledger.wallets_ahead.as_of is 'The server''s clock. @notNull';
comment on column baseledger.wallets_ahead.wallets is 'How many there are. @notNull';
comment on column baseledger.wallets_ahead.wallet_id is
  'The one that is furthest ahead; null without any.';
comment on column baseledger.wallets_ahead.last_event_at is 'Its last event; null without any.';
