-- The first field in which two requests differ, as the detail of LGIDK; null if they are equal.
create or replace function baseledger._compare_requests(p_stored jsonb, p_given jsonb)
returns jsonb
language plpgsql
immutable
as $$
declare
  v_field text;
begin
  if p_stored = p_given then
    return null;
  end if;
  -- Some of a change have names of their own, which come after these.
  foreach v_field in array array[
    'op', 'reservation_id', 'amount', 'usage', 'at_least', 'ttl', 'final', 'to', 'reason',
    'metadata', 'unit', 'scale', 'overdraft_limit'
  ] || array(select k from jsonb_object_keys(p_stored || p_given) as k order by k) loop
    if p_stored -> v_field is distinct from p_given -> v_field then
      return jsonb_build_object(
        'field', v_field, 'stored', p_stored -> v_field, 'given', p_given -> v_field
      );
    end if;
  end loop;
  return null;
end
$$;

revoke all on function baseledger._compare_requests from public;
