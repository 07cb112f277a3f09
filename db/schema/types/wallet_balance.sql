-- What balance and balance_at return.
create type baseledger.wallet_balance as (
  wallet_id text,
  unit text,
  scale smallint,
  available bigint,
  reserved bigint,
  spent bigint,
  overdraft_limit bigint,
  frozen boolean,
  seq bigint,
  as_of timestamptz
);
comment on type baseledger.wallet_balance is
  'A wallet''s balances at an instant, in its smallest step. A reservation whose deadline has '
  'passed counts as returned, whether or not a worker has swept it.';
comment on column baseledger.wallet_balance.wallet_id is 'The wallet. @notNull';
comment on column baseledger.wallet_balance.unit is 'What is counted, e.g. USD. @notNull';
comment on column baseledger.wallet_balance.scale is
  'Decimal digits of the smallest step: 9 for USD means nano-dollars. @notNull';
comment on column baseledger.wallet_balance.available is
  'What can be reserved; below zero after an overdraft. @notNull';
comment on column baseledger.wallet_balance.reserved is 'Held by open reservations. @notNull';
comment on column baseledger.wallet_balance.spent is 'Settled and charged, less refunds. @notNull';
comment on column baseledger.wallet_balance.overdraft_limit is
  'How far settlements may take available below zero; null = without limit.';
comment on column baseledger.wallet_balance.frozen is
  'True while nothing new may be reserved, charged, withdrawn or transferred out. @notNull';
comment on column baseledger.wallet_balance.seq is 'The last event counted. @notNull';
comment on column baseledger.wallet_balance.as_of is 'The instant of these balances. @notNull';
