-- Why a command of a batch could not be parsed: {code, detail} of the first problem. p_fields are
-- those that its operation may have; null if this batch has no such operation. With p_several, each
-- names its wallet.
create or replace function baseledger._explain_parse_error(
  p_command jsonb,
  p_op text,
  p_fields text[],
  p_several boolean
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_field text;
begin
  if jsonb_typeof(p_command -> 'op') is distinct from 'string' then
    v_field := 'op';
  elsif p_fields is null then
    return jsonb_build_object('code', 'LGUNK', 'detail', jsonb_build_object('op', p_op));
  else
    select k into v_field
      from jsonb_object_keys(p_command) as k
      where k <> all (p_fields)
      order by k
      limit 1;
    v_field := coalesce(v_field, case
      when p_several and jsonb_typeof(p_command -> 'wallet_id') is distinct from 'string'
        then 'wallet_id'
      when jsonb_typeof(p_command -> 'idempotency_key') not in ('string', 'null')
        then 'idempotency_key'
      when jsonb_typeof(p_command -> 'reservation_id') not in ('string', 'null')
        then 'reservation_id'
      when p_command -> 'amount' <> 'null'
        and baseledger._parse_bigint(p_command -> 'amount') is null
        then 'amount'
      when p_command -> 'at_least' <> 'null'
        and baseledger._parse_bigint(p_command -> 'at_least') is null
        then 'at_least'
      when p_command -> 'ttl' <> 'null' and baseledger._parse_ttl(p_command -> 'ttl') is null
        then 'ttl'
      when jsonb_typeof(p_command -> 'final') not in ('boolean', 'null') then 'final'
      else 'already_spent'
    end);
  end if;
  return jsonb_build_object('code', 'LGARG', 'detail', baseledger._describe_argument(v_field));
end
$$;

revoke all on function baseledger._explain_parse_error from public;
