-- The canonical encoding of an event, which its hash is made of: PostgreSQL's binary form of a row
-- (record_send), in which every field carries its type and its length, so that no two different
-- events share an encoding. Texts are encoded as UTF-8, because PostgreSQL sends a text in the
-- client's encoding. docs/hash-chain.md describes it byte by byte.
--
-- A SQL function without settings, so that it is inlined into _execute and _verify_events.
create or replace function baseledger._encode_event(
  p_wallet_id text,
  p_seq bigint,
  p_event baseledger.event_type,
  p_reservation_id text,
  p_amount bigint,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint,
  p_expires_at timestamptz,
  p_occurred_at timestamptz,
  p_idempotency_key text,
  p_actor text,
  p_metadata jsonb,
  p_details jsonb
)
returns bytea
language sql
stable
parallel safe
as $$
  select pg_catalog.record_send(row(
    pg_catalog.convert_to(p_wallet_id, 'UTF8'),
    p_seq,
    pg_catalog.convert_to(p_event::text, 'UTF8'),
    pg_catalog.convert_to(p_reservation_id, 'UTF8'),
    p_amount,
    p_available,
    p_reserved,
    p_spent,
    p_expires_at,
    p_occurred_at,
    pg_catalog.convert_to(p_idempotency_key, 'UTF8'),
    pg_catalog.convert_to(p_actor, 'UTF8'),
    pg_catalog.convert_to(p_metadata::text, 'UTF8'),
    pg_catalog.convert_to(p_details::text, 'UTF8')
  ))
$$;

revoke all on function baseledger._encode_event from public;
