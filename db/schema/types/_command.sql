-- A command on its way into baseledger._execute: one of a batch, a single one, or an expiry.
--   details          what goes into events.details as it is: the reason of a freeze, the other
--                    wallet of a transfer, the terms of an opening
--   usage            what sets its amount: see _price_commands, which adds it to details
--   due_at           of an expiry: the deadline that has passed
--   refused, detail  set when the command could not be parsed, or has an invalid argument
--   key_at           position of the first command of the batch with the same idempotency key;
--                    null if that is this one
--   hold_at          position of the first command of the batch with the same reservation;
--                    null if that is this one
create type baseledger._command as (
  op text,
  idempotency_key text,
  reservation_id text,
  amount bigint,
  at_least bigint,
  ttl interval,
  final boolean,
  metadata jsonb,
  details jsonb,
  due_at timestamptz,
  refused text,
  detail jsonb,
  key_at integer,
  hold_at integer,
  usage jsonb
);
