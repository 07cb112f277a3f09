--! Previous: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Hash: sha1:ec6201d52df125311bf85c93e6c5cd7bd0df7d72
--! Message: Describe each argument

-- Described here once: they mean the same in every function that has them.
comment on schema baseledger is
  e'The ledger: wallets, reservations, and a hash-chained journal. Its functions say in their '
  'comments what they do; what their arguments are, if not said there:\n'
  'p_wallet_id: Id of the wallet.\n'
  'p_amount: In the wallet''s smallest step, above 0.\n'
  'p_idempotency_key: The caller''s name for the command, unique in its wallet: sent again with it, '
  'the command is carried out once.\n'
  'p_reservation_id: Name of the reservation in its wallet.\n'
  'p_at_least: The least to be content with, if p_amount is not there. Default: p_amount.\n'
  'p_final: Whether the rest is given back; false books a part and keeps the rest reserved.\n'
  'p_metadata: A JSON object of at most 16 KiB, which goes on record with the event.\n'
  'p_reason: Why, in 1 to 1000 characters; goes on record.\n'
  'p_unit: What amounts are of, such as USD or tokens.\n'
  'p_scale: Decimal digits of the smallest step, 0 to 18.\n'
  'p_overdraft_limit: How far below zero settlements may take available; 0 = not at all. '
  'Default: without limit.\n'
  'p_at: The instant; after now means now.\n'
  'p_limit: How many at most, 1 to 100,000.';

--! Included functions/charge.sql
-- Spends at once. Locks the wallet's row.
create or replace function baseledger.charge(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'charge', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.charge is
  e'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. A retry with the same key gets the first receipt. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGFRZ, LGNSF, LGOVF.'
  '\np_reservation_id: Name of the reservation that it leaves. Default: the idempotency key.';
revoke all on function baseledger.charge from public;
grant execute on function baseledger.charge to baseledger_agent, baseledger_operator;
--! EndIncluded functions/charge.sql
--! Included functions/extend.sql
-- The heartbeat of a long call. Locks the wallet's row.
create or replace function baseledger.extend(
  p_wallet_id text,
  p_reservation_id text,
  p_ttl interval,
  p_idempotency_key text,
  p_amount bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  p_ttl := baseledger._seconds(p_ttl);
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'extend', p_idempotency_key, p_reservation_id, p_amount,
    p_ttl => p_ttl, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.extend is
  e'Gives an open reservation a new deadline, p_ttl (1 second to 30 days) from now. With p_amount '
  'it also holds that much from now on, more or less than before; the receipt''s amount is the '
  'change. A frozen wallet allows no more. A retry with the same key gets the first receipt. '
  'Refused with LGARG, LGWNF, LGIDK, LGRNF, LGEND, LGEXP (past its deadline), LGNSF, LGFRZ.'
  '\np_ttl: Time from now until the new deadline, 1 second to 30 days.'
  '\np_amount: What it holds from now on, in the wallet''s smallest step. Default: what it holds.';
revoke all on function baseledger.extend from public;
grant execute on function baseledger.extend to baseledger_agent, baseledger_operator;
--! EndIncluded functions/extend.sql
--! Included functions/freeze_wallet.sql
-- The kill switch. Locks the wallet's row.
create or replace function baseledger.freeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'freeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.freeze_wallet is
  e'The kill switch: from now on no new reservations, larger holds, charges, withdrawals or '
  'transfers out; settling, cancelling, crediting go on. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays frozen. Refused '
  'with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.freeze_wallet from public;
grant execute on function baseledger.freeze_wallet to baseledger_operator;
--! EndIncluded functions/freeze_wallet.sql
--! Included functions/post.sql
-- A batch for one wallet. Locks the wallet's row once, writes it once.
create or replace function baseledger.post(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_receipt baseledger.receipt;
begin
  foreach v_receipt in array baseledger._batch(
    p_wallet_id,
    baseledger._read_commands(
      p_commands,
      '{reserve,settle,cancel,extend,charge}'
    )
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post is
  e'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (reserve, settle, cancel, extend or charge) and the parameters of '
  'that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(reserve, settle, cancel, extend, charge)';
revoke all on function baseledger.post from public;
grant execute on function baseledger.post to baseledger_agent, baseledger_operator;
--! EndIncluded functions/post.sql
--! Included functions/post_funds.sql
-- A batch for one wallet that may also move funds in and out. Locks the row once, writes it once.
create or replace function baseledger.post_funds(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_receipt baseledger.receipt;
begin
  foreach v_receipt in array baseledger._batch(
    p_wallet_id,
    baseledger._read_commands(
      p_commands,
      '{reserve,settle,cancel,extend,charge,credit,withdraw,refund}'
    )
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  e'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (those of post, and credit, withdraw, refund) and the parameters '
  'of that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(reserve, settle, cancel, extend, charge, credit, '
  'withdraw, refund)';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
--! EndIncluded functions/post_funds.sql
--! Included functions/reserve.sql
-- Holds funds before a call. Locks the wallet's row.
create or replace function baseledger.reserve(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_ttl interval default null,
  p_reservation_id text default null,
  p_at_least bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  p_ttl := baseledger._reserve_ttl(p_ttl);
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'reserve', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_at_least, p_ttl, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.reserve is
  e'Holds p_amount (the wallet''s smallest step, above 0) for a call, until it is settled or '
  'cancelled, or p_ttl (1 second to 30 days, default 10 minutes) has passed. p_reservation_id '
  'defaults to the idempotency key. With p_at_least, grants what is there between p_at_least and '
  'p_amount; the receipt''s amount says how much. A retry with the same key gets the first '
  'receipt. Refused with LGARG, LGWNF, LGIDK, LGRID (reservation id taken), LGFRZ (wallet frozen), '
  'LGNSF (insufficient funds).'
  '\np_ttl: Time until the deadline, 1 second to 30 days. Default: 10 minutes.'
  '\np_reservation_id: Name of the reservation in its wallet. Default: the idempotency key.';
revoke all on function baseledger.reserve from public;
grant execute on function baseledger.reserve to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reserve.sql
--! Included functions/settle.sql
-- Books what a call did cost. Locks the wallet's row.
create or replace function baseledger.settle(
  p_wallet_id text,
  p_reservation_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_final boolean default true,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'settle', p_idempotency_key, p_reservation_id, p_amount,
    p_final => coalesce(p_final, true), p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.settle is
  e'Books p_amount (0 or more) as spent and gives the rest of the reservation back. With '
  'p_final => false it books a part and keeps the rest reserved. More than was reserved is '
  'booked in full, from available; after the deadline the whole is, once, as a late '
  'settlement. Either may take available below zero, down to the wallet''s overdraft limit. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.'
  '\np_amount: What was spent, 0 or more, in the wallet''s smallest step.';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
--! EndIncluded functions/settle.sql
--! Included functions/statement.sql
-- The events of a wallet from p_from up to, not including, p_to.
create or replace function baseledger.statement(
  p_wallet_id text,
  p_from timestamptz default '-infinity',
  p_to timestamptz default 'infinity'
)
returns setof baseledger.statement_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_first bigint;
  v_last bigint;
begin
  if p_from is null or p_to is null then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', case when p_from is null then 'from' else 'to' end, 'reason', 'must be a time'
    ));
  end if;
  v_first := baseledger._seq_before(p_wallet_id, p_from) + 1;
  v_last := baseledger._seq_before(p_wallet_id, p_to);
  return query
    select e.seq, e.occurred_at, e.event, e.reservation_id, e.amount, e.available, e.reserved,
        e.spent, e.expires_at, e.idempotency_key, e.actor, e.metadata, e.details
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_first and v_last
      order by e.seq;
end
$$;

comment on function baseledger.statement is
  e'The events of a wallet from p_from up to, not including, p_to (without them: all), in order, '
  'each with the balances after it, in the wallet''s smallest step. Refused with LGARG, LGWNF.'
  '\np_from: The first instant. Default: the beginning.'
  '\np_to: The instant after the last. Default: the end.';
revoke all on function baseledger.statement from public;
grant execute on function baseledger.statement to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/statement.sql
--! Included functions/transfer.sql
-- Moves funds between two wallets. Locks both rows, one statement each, in id order, so that
-- transfers in both directions do not deadlock.
create or replace function baseledger.transfer(
  p_from text,
  p_to text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id text;
  v_terms text[] := '{}'::text[];
  v_out baseledger.receipt;
begin
  perform baseledger._require_id('from', p_from);
  perform baseledger._require_id('to', p_to);
  foreach v_id in array array[
    least(p_from collate "C", p_to collate "C"), greatest(p_from collate "C", p_to collate "C")
  ] loop
    select v_terms || array[w.unit, w.scale::text] into v_terms
      from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update;
    if not found then
      perform baseledger._no_wallet(v_id);
    end if;
  end loop;
  if p_from = p_to or v_terms[1:2] <> v_terms[3:4] then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', 'to', 'reason', 'must be another wallet of the same unit and scale'
    ));
  end if;

  v_out := baseledger._single(p_from, baseledger._make_command(
    'transfer_out', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata,
    p_details => jsonb_build_object('to', p_to)
  ));
  if not v_out.replayed then
    perform baseledger._single(p_to, baseledger._make_command(
      'transfer_in', null, p_amount => p_amount, p_metadata => p_metadata,
      p_details => jsonb_build_object('from', p_from, 'from_seq', v_out.seq)
    ));
  end if;
  return v_out;
end
$$;

comment on function baseledger.transfer is
  e'Moves p_amount (above 0) from the available funds of one wallet to those of another of the '
  'same unit and scale, never taking the sender below zero. Writes one event in each journal and '
  'returns the sender''s receipt; the key belongs to the sender''s wallet. A retry with the same '
  'key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ (sender frozen), LGNSF, '
  'LGOVF.'
  '\np_from: Id of the wallet that gives.'
  '\np_to: Id of the wallet that gets.';
revoke all on function baseledger.transfer from public;
grant execute on function baseledger.transfer to baseledger_operator;
--! EndIncluded functions/transfer.sql
--! Included functions/unfreeze_wallet.sql
-- Ends the kill switch. Locks the wallet's row.
create or replace function baseledger.unfreeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'unfreeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.unfreeze_wallet is
  e'Ends a freeze. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays open. Refused '
  'with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.unfreeze_wallet from public;
grant execute on function baseledger.unfreeze_wallet to baseledger_operator;
--! EndIncluded functions/unfreeze_wallet.sql
--! Included functions/verify.sql
-- Proves the ledger, or finds where it does not hold. Reads only; one snapshot for all of it, as
-- a stable function sees the one of its query. The whole ledger is read in portions of wallets,
-- so that memory does not grow with it.
create or replace function baseledger.verify(p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
declare
  c_events constant bigint := 100000;     -- in a portion, if wallets are small
  v_first text collate "C" := '';
  v_last text collate "C";
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._no_wallet(p_wallet_id);
    end if;
    return query select * from baseledger._verify_events(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_wallets(p_wallet_id, p_wallet_id);
    return;
  end if;

  loop
    -- The last wallet of the next portion; none if the rest fits in.
    select min(p.wallet_id) into v_last
      from (
        select w.wallet_id, sum(w.seq) over (order by w.wallet_id) as events
          from (
            select l.wallet_id, l.seq from baseledger.wallets l
              where l.wallet_id >= v_first
              order by l.wallet_id
              limit 20000
          ) as w
      ) as p
      where p.events >= c_events;
    if v_last is null then
      select w.wallet_id into v_last from baseledger.wallets w
        where w.wallet_id >= v_first
        order by w.wallet_id
        offset 19999 limit 1;
    end if;
    -- Without a last wallet up to the end, and so past every wallet: events without one show.
    return query select * from baseledger._verify_events(v_first, v_last);
    return query select * from baseledger._verify_wallets(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the least text above it
  end loop;
end
$$;

comment on function baseledger.verify is
  e'Checks a wallet, or without one the whole ledger, and returns what does not hold: none = '
  'sound. Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; folds '
  'the events anew and compares each balance, the wallet''s row, the open reservations and the '
  'other side of each transfer. Reads only. Refused with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all wallets.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
--! EndIncluded functions/verify.sql
