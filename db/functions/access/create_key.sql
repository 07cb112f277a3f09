-- Makes a key to a wallet. Locks the wallet's row. The secret is made of two random UUIDs of 122
-- bits, and is kept nowhere, only its hash.
--
-- In UTC, so that the event has the same text for a time whatever the session's time zone.
create or replace function baseledger.create_key(
  p_wallet_id text,
  p_labels jsonb default '{}',
  p_free_labels text[] default '{}',
  p_expires_at timestamptz default null,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.created_key
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set jit = off
as $$
declare
  v_secret constant text := 'bl_' || left(encode(
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'
  ), 40);
  v_key_id text := 'key_' || left(replace(gen_random_uuid()::text, '-', ''), 12);
  v_expires_at constant timestamptz := nullif(p_expires_at, 'infinity');
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.create_key(text,jsonb,text[],timestamptz,text,jsonb)'
  );
  perform baseledger._require_labels(p_labels, p_free_labels);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'key_created', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object(
      'key_id', v_key_id, 'labels', p_labels, 'free_labels', p_free_labels,
      'expires_at', v_expires_at,
      'secret_sha256', encode(sha256(convert_to(v_secret, 'UTF8')), 'hex')
    )
  ));
  if v_receipt.replayed then
    select e.details ->> 'key_id' into v_key_id
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq = v_receipt.seq;
    return row(v_key_id, null, v_expires_at, true)::baseledger.created_key;
  end if;

  if v_expires_at <= clock_timestamp() then
    perform baseledger._raise('LGARG', baseledger._describe_argument('expires_at'));
  end if;
  perform baseledger._restrict(p_wallet_id);
  insert into baseledger.keys
    (wallet_id, key_id, secret_sha256, labels, free_labels, created_at, expires_at)
    values (
      p_wallet_id, v_key_id, sha256(convert_to(v_secret, 'UTF8')), p_labels, p_free_labels,
      v_receipt.occurred_at, v_expires_at
    );
  return row(v_key_id, v_secret, v_expires_at, false)::baseledger.created_key;
end
$$;

comment on function baseledger.create_key is
  e'Makes a key to a wallet, which is restricted from then on: see allow. Whoever has set '
  'baseledger.key to its secret (set local baseledger.key = ''bl_…'') may use the wallet as the '
  'key says, and only so, whatever the role. The secret is returned once and kept nowhere: a retry '
  'with the same idempotency key gets the same key_id, and null for the secret. Refused with '
  'LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_labels: Fixed labels, such as {"user": "ann"}: all that is reserved or charged with the key '
  'has them, whatever metadata says, and no reservation without them is seen. At most 16.'
  '\np_free_labels: Labels that the holder chooses, as metadata; {*} for all. At most 16.'
  '\np_expires_at: Until when it can be used. Default: until it is revoked.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.create_key from public;
grant execute on function baseledger.create_key to baseledger_operator;
