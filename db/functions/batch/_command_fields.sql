-- The fields that a command of a batch may have: the parameters of the function of its name.
create or replace function baseledger._command_fields(p_op text)
returns text[]
language sql
immutable
parallel safe
as $$
  select case p_op
    when 'reserve' then
      '{op,idempotency_key,amount,reservation_id,ttl,at_least,metadata}'::text[]
    when 'settle' then '{op,idempotency_key,amount,reservation_id,final,metadata}'::text[]
    when 'cancel' then '{op,idempotency_key,reservation_id,metadata}'::text[]
    when 'extend' then '{op,idempotency_key,reservation_id,ttl,amount,metadata}'::text[]
    when 'charge' then '{op,idempotency_key,amount,reservation_id,metadata}'::text[]
    when 'credit' then '{op,idempotency_key,amount,metadata}'::text[]
    when 'withdraw' then '{op,idempotency_key,amount,metadata}'::text[]
    when 'refund' then '{op,idempotency_key,amount,reservation_id,metadata}'::text[]
  end
$$;

revoke all on function baseledger._command_fields from public;
