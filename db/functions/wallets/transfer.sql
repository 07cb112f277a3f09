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
set jit = off
as $$
declare
  v_id text;
  v_terms text[] := '{}'::text[];
  v_out baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.transfer(text,text,bigint,text,jsonb)');
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
      perform baseledger._raise_wallet_not_found(v_id);
    end if;
  end loop;
  if p_from = p_to or v_terms[1:2] <> v_terms[3:4] then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', 'to', 'reason', 'must be another wallet of the same unit and scale'
    ));
  end if;

  v_out := baseledger._execute_single(p_from, baseledger._make_command(
    'transfer_out', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata,
    p_details => jsonb_build_object('to', p_to)
  ));
  if not v_out.replayed then
    perform baseledger._execute_single(p_to, baseledger._make_command(
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
