-- The schema, before anything is in it. Runs as baseledger_owner, who owns it.

-- Nothing is open to the public unless a file says so. (Not `in schema`: a default there can only
-- add to what the public has anyway.)
alter default privileges revoke execute on functions from public;
revoke all on schema baseledger from public;
grant usage on schema baseledger
  to baseledger_agent, baseledger_operator, baseledger_auditor, baseledger_worker;

-- The arguments that mean the same in every function that has them.
comment on schema baseledger is
  e'The ledger: wallets, reservations, and a hash-chained journal. The comment of a function says '
  'what it does; its arguments are, unless its comment says otherwise:\n'
  'p_wallet_id: Id of the wallet.\n'
  'p_amount: In the wallet''s smallest step, above 0.\n'
  'p_usage: What the call uses, or has used: {"model": "openai/gpt-5", "input": 1200, "output": 512}. '
  'The ledger prices it by its catalogue. @type(Usage)\n'
  'p_idempotency_key: The caller''s name for the command, unique in its wallet: sent again with '
  'it, the command is carried out once.\n'
  'p_reservation_id: Name of the reservation in its wallet.\n'
  'p_at_least: The smallest amount to grant if p_amount is not available. Default: p_amount.\n'
  'p_final: Whether the rest is given back; false books a part and keeps the rest reserved.\n'
  'p_metadata: A JSON object of at most 16 KiB, which goes on record with the event.\n'
  'p_reason: Why, in 1 to 1000 characters; goes on record.\n'
  'p_unit: What amounts are of, such as USD or tokens.\n'
  'p_scale: Decimal digits of the smallest step, 0 to 18.\n'
  'p_overdraft_limit: How far below zero settlements may take available; 0 = not at all. '
  'Default: without limit.\n'
  'p_at: The instant; after now means now.\n'
  'p_limit: How many at most, 1 to 100,000.';
