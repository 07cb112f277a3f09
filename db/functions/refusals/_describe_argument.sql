-- The detail of LGARG: the field, and what it must be.
create or replace function baseledger._describe_argument(p_field text)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object('field', p_field, 'reason', case
    when p_field in ('wallet_id', 'from', 'to', 'idempotency_key', 'reservation_id', 'unit')
      then 'must be 1 to 255 characters, the first and the last of them visible'
    when p_field = 'amount' then 'must be a whole number above 0 (for settle and limits, 0 is '
      'allowed; a limit by labels may have none), in the wallet''s smallest step, up to '
      '9223372036854775807'
    when p_field = 'usage' then 'must be a JSON object without p_amount beside it: model as '
      'provider/model (for settle, the default is that of the reservation), variant if it is not '
      'standard, and for at least one kind of usage a whole number from 0 to 10^12; its cost must '
      'fit 64 bits'
    when p_field = 'limit_id' then 'must be a limit of this wallet; or, to set one of at most 32, '
      '1 to 255 characters, the first and the last of them visible'
    when p_field = 'at_least' then 'must be a whole number from 1 up to the amount'
    when p_field = 'ttl' then 'must be an interval from 1 second to 30 days'
    when p_field = 'metadata' then 'must be a JSON object of at most 16 KiB'
    when p_field = 'reason' then 'must be 1 to 1000 characters and not blank'
    when p_field = 'scale' then 'must be from 0 to 18'
    when p_field = 'overdraft_limit' then 'must be null or a whole number of at least 0'
    when p_field in ('final', 'already_spent', 'restricted', 'hard', 'frozen', 'closed')
      then 'must be true or false'
    when p_field = 'role' then 'must be a role of this server, or to disallow it, one with a grant'
    when p_field = 'labels'
      then 'must be a JSON object of at most 16 strings, names and values of 1 to 255 bytes'
    when p_field = 'free_labels'
      then 'must be at most 16 names of labels, of 1 to 255 bytes each; {*} for all'
    when p_field = 'key_id' then 'must be a key of this wallet that is not revoked'
    when p_field = 'expires_at' then 'must be a time after now, or null'
    when p_field = 'per' then 'must be minute, hour, day, week, month, year or ever; it cannot '
      'change while the limit exists'
    when p_field = 'by' then 'must be at most 4 different names of labels, of 1 to 255 bytes each; '
      'it cannot change while the limit exists'
    when p_field = 'of' then 'must be amount, tokens, calls, or (per ever, without alerts) open; it '
      'cannot change while the limit exists'
    when p_field = 'time_zone' then 'must be UTC or an Area/City of pg_timezone_names; it cannot '
      'change while the limit exists'
    when p_field = 'alert_at' then 'must be at most 10 different percentages from 1 to 1000, and '
      'none where open reservations are limited'
    when p_field = 'values'
      then 'must be a text of at most 255 bytes for each label of the limit, which has labels'
    when p_field = 'amounts' then 'must be at most 10 different whole numbers of at least 1'
    when p_field in ('prefix', 'after') then 'must be a text'
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
