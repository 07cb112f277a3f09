-- The detail of a refusal at an instant, for a program. Amounts are in the wallet's smallest step,
-- by deadline; p_change is what the command would have done to available.
create or replace function baseledger._describe_refusal(
  p_code text,
  p_wallet_id text,
  p_now timestamptz,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint,
  p_overdraft_limit bigint,
  p_change bigint,
  p_command baseledger._command,
  p_hold baseledger._hold,
  p_holds baseledger._hold[]
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_requested bigint := coalesce(p_command.at_least, p_command.amount);
  v_held boolean;
begin
  case p_code
    when 'LGARG' then
      return baseledger._describe_argument(baseledger._find_invalid_field(
        p_command.op, p_command.idempotency_key, p_command.reservation_id, p_command.amount,
        p_command.at_least, p_command.ttl, p_command.metadata, p_command.details,
        p_command.usage
      ));
    when 'LGFRZ', 'LGCLO' then
      return jsonb_build_object('wallet_id', p_wallet_id);
    when 'LGRNF', 'LGRID' then
      return jsonb_build_object('reservation_id', p_command.reservation_id);
    when 'LGEXP' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'expired_at', p_hold.expires_at
      );
    when 'LGEND' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'status', p_hold.status,
        'ended_at', p_hold.ended_at,
        'ended_seq', p_hold.ended_seq
      );
    when 'LGNSF' then
      -- Of an extension only the increase is asked for.
      if p_command.op = 'extend' then
        v_requested := p_command.amount - p_hold.held;
      end if;
      v_held := p_reserved::numeric + p_available >= v_requested;
      return jsonb_build_object(
        'requested', v_requested,
        'available', p_available,
        'reserved', p_reserved,
        -- Nothing is short where the funds are past their deadline, only more than one command
        -- may expire.
        'shortfall', greatest(v_requested::numeric - p_available, 0),
        'reason', case when v_held then 'held' else 'exhausted' end,
        'retry_at', case
          when p_available >= v_requested then p_now
          when v_held then baseledger._find_next_return(p_wallet_id, p_now, p_holds)
        end
      );
    when 'LGRFD' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'requested', p_command.amount,
        'refundable',
          p_hold.net + baseledger._sum_refundable(p_wallet_id, p_command.reservation_id)
      );
    when 'LGOVD' then
      return jsonb_build_object(
        'requested', p_command.amount,
        'available', p_available,
        'would_be', p_available::numeric + p_change,
        'overdraft_limit', p_overdraft_limit
      );
    when 'LGOVF' then
      return jsonb_build_object(
        'requested', p_command.amount,
        'available', p_available,
        'reserved', p_reserved,
        'spent', p_spent
      );
  end case;
end
$$;

revoke all on function baseledger._describe_refusal from public;
