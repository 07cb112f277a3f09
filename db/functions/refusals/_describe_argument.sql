-- The detail of LGARG: the field, and what it must be.
create or replace function baseledger._describe_argument(p_field text)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object('field', p_field, 'reason', case
    when p_field in ('wallet_id', 'from', 'to', 'idempotency_key', 'reservation_id', 'unit')
      then 'must be 1 to 255 characters, the first and the last of them visible'
    when p_field = 'amount' then 'must be a whole number above 0 (for settle, 0 is allowed), '
      'in the wallet''s smallest step, up to 9223372036854775807'
    when p_field = 'at_least' then 'must be a whole number from 1 up to the amount'
    when p_field = 'ttl' then 'must be an interval from 1 second to 30 days'
    when p_field = 'metadata' then 'must be a JSON object of at most 16 KiB'
    when p_field = 'reason' then 'must be 1 to 1000 characters and not blank'
    when p_field = 'scale' then 'must be from 0 to 18'
    when p_field = 'overdraft_limit' then 'must be null or a whole number of at least 0'
    when p_field = 'final' then 'must be true or false'
    when p_field = 'op' then 'must be a string'
    when p_field = 'commands' then 'must be a JSON array of at most 10,000 objects'
    when p_field = 'at' then 'must be a time'
    when p_field = 'limit' then 'must be from 1 to 100,000'
    when p_field = 'url' then 'must be an http or https address without credentials, of at most '
      '2048 characters'
    when p_field = 'events' then 'must name some of limit and low_balance'
    when p_field = 'allow_private' then 'must be true or false'
    when p_field = 'webhook_id' then 'must name a webhook that was not removed'
    when p_field = 'webhooks' then 'must not be more than 16 for a wallet, or 16 for all wallets'
    else 'is not a field of this command'
  end)
$$;

revoke all on function baseledger._describe_argument from public;
