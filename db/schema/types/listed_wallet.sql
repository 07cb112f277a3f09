-- A row of list_wallets: that of the view wallet_balances.
create type baseledger.listed_wallet as (
  wallet_id text,
  unit text,
  scale smallint,
  available bigint,
  reserved bigint,
  spent bigint,
  overdraft_limit bigint,
  frozen boolean,
  seq bigint,
  last_event_at timestamptz,
  ahead_by interval,
  restricted boolean,
  closed boolean,
  limited boolean
);
comment on type baseledger.listed_wallet is
  'A wallet with its balances now, in its smallest step; reservations past their deadline count as '
  'returned.';
comment on column baseledger.listed_wallet.wallet_id is 'The wallet. @notNull';
comment on column baseledger.listed_wallet.unit is 'What is counted, e.g. USD. @notNull';
comment on column baseledger.listed_wallet.scale is
  'Decimal digits of the smallest step: 9 for USD means nano-dollars. @notNull';
comment on column baseledger.listed_wallet.available is
  'What can be reserved; below zero after an overdraft. @notNull';
comment on column baseledger.listed_wallet.reserved is 'Held by open reservations. @notNull';
comment on column baseledger.listed_wallet.spent is 'Settled and charged, less refunds. @notNull';
comment on column baseledger.listed_wallet.overdraft_limit is
  'How far settlements may take available below zero; null = without limit.';
comment on column baseledger.listed_wallet.frozen is
  'True while nothing new may be reserved, charged, withdrawn or transferred out. @notNull';
comment on column baseledger.listed_wallet.seq is 'Its last event. @notNull';
comment on column baseledger.listed_wallet.last_event_at is 'When that happened. @notNull';
comment on column baseledger.listed_wallet.ahead_by is
  'By how much that is ahead of the server''s clock, if by more than a second; else null.';
comment on column baseledger.listed_wallet.restricted is
  'True if only those may use it who have a grant or a key. @notNull';
comment on column baseledger.listed_wallet.closed is
  'True while nothing new may be reserved, charged or credited. @notNull';
comment on column baseledger.listed_wallet.limited is 'True while it has limits. @notNull';
