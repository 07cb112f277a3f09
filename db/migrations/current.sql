-- When more is due than a command expires, the rest is a backlog that counts as returned. Deadlines
-- count by the server's clock, wherever a wallet's time is; on a standby, by what was replayed.
drop function if exists baseledger._due(text, timestamptz, integer, baseledger._command[]);
drop function if exists baseledger._next_return(text, baseledger._hold[]);
drop function if exists baseledger._refusal_detail(
  text, text, bigint, bigint, bigint, bigint, bigint, baseledger._command, baseledger._hold,
  baseledger._hold[]
);
drop function if exists baseledger.wallets_ahead();
drop type if exists baseledger.wallet_ahead;

create type baseledger.wallet_ahead as (
  wallet_id text,
  last_event_at timestamptz,
  ahead_by interval
);
comment on type baseledger.wallet_ahead is
  'A wallet whose last event lies ahead of the server''s clock.';
comment on column baseledger.wallet_ahead.wallet_id is 'The wallet. @notNull';
comment on column baseledger.wallet_ahead.last_event_at is 'When its last event is dated. @notNull';
comment on column baseledger.wallet_ahead.ahead_by is
  'By how much that lies ahead of the clock. @notNull';

comment on column baseledger.events.details is
  'What the event says beyond its columns: opened {unit, scale, overdraft_limit}; reserved with '
  'p_at_least {requested, at_least}; extended with p_amount {hold}; settled in part '
  '{final: false}, after the deadline {late: true}; frozen, unfrozen {reason}; transferred_out '
  '{to}, transferred_in {from, from_seq}. Any event: {backlog: true} when more reservations were past '
  'their deadline than were expired with it; {ahead_us} when it is dated so many microseconds ahead of '
  'the server''s clock.';

--!include functions/_clock.sql
--!include functions/_clock_slack.sql
--!include functions/_as_of.sql
--!include functions/_ahead.sql
--!include functions/_instant.sql
--!include functions/_due_chunk.sql
--!include functions/_needs.sql
--!include functions/_backlog.sql
--!include functions/_due.sql
--!include functions/_next_return.sql
--!include functions/_refusal_detail.sql
--!include functions/_raise.sql
--!include functions/_fold.sql
--!include functions/balance.sql
--!include functions/balance_at.sql
--!include functions/_verify_events.sql
--!include functions/_verify_wallets.sql
--!include functions/wallets_ahead.sql
--!include views/wallet_balances.sql
--!include views/open_reservations.sql
--!include views/reservation_history.sql
--!include functions/_hides.sql
--!include functions/_invalid_field.sql
--!include functions/_make_command.sql
--!include functions/_argument_detail.sql
--!include functions/open_wallet.sql
