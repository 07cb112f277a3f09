-- A row of verify and verify_rights.
create type baseledger.discrepancy as (
  wallet_id text,
  seq bigint,
  "check" text,
  expected text,
  found text
);
comment on type baseledger.discrepancy is 'Something in the ledger that does not hold.';
comment on column baseledger.discrepancy.wallet_id is
  'The wallet; null when it concerns the rights of the whole ledger.';
comment on column baseledger.discrepancy.seq is
  'The event at which it shows; null when it concerns the wallet or a live reservation.';
comment on column baseledger.discrepancy."check" is 'Which check failed. @notNull';
comment on column baseledger.discrepancy.expected is 'What the journal implies.';
comment on column baseledger.discrepancy.found is 'What is stored.';
