-- The operations of a batch, and the fields that each may have: op, and the parameters of the
-- function of that name without p_ and without the wallet. post_funds takes all of them, post those
-- that are not for operators. A SQL function without settings, so that it is inlined.
create or replace function baseledger._batch_operations()
returns table (operation text, for_operators boolean, fields text[])
language sql
immutable
parallel safe
as $$
  values
    ('reserve', false,
      '{op,idempotency_key,amount,reservation_id,ttl,at_least,metadata,usage}'::text[]),
    ('settle', false, '{op,idempotency_key,amount,reservation_id,final,metadata,usage}'),
    ('cancel', false, '{op,idempotency_key,reservation_id,metadata}'),
    ('extend', false, '{op,idempotency_key,reservation_id,ttl,amount,metadata}'),
    ('charge', false,
      '{op,idempotency_key,amount,reservation_id,metadata,already_spent,usage}'),
    ('credit', true, '{op,idempotency_key,amount,metadata}'),
    ('withdraw', true, '{op,idempotency_key,amount,metadata}'),
    ('refund', true, '{op,idempotency_key,amount,reservation_id,metadata}')
$$;

revoke all on function baseledger._batch_operations from public;
