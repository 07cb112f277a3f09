-- What a caller's access to a restricted wallet makes of his commands: refuses those to which he
-- has no right, with what they would get if the other's reservation did not exist, and gives labels
-- to the reservations that he opens. Real spending still lands: who has opened a reservation may
-- settle, cancel, extend and repeat it, whatever was taken back since.
--
-- Commands of operators, which move funds in and out, are not an agent's: who may call them is
-- decided by the right to their function.
create or replace function baseledger._apply_access(
  p_wallet_id text,
  p_access baseledger._access,
  p_commands baseledger._command[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  -- Sees every reservation and every key.
  c_sees_all constant boolean := p_access.allowed and p_access.labels = '{}';
  v_command baseledger._command;
  v_labels jsonb;
begin
  for v_i in 1 .. cardinality(p_commands) loop
    v_command := p_commands[v_i];
    continue when v_command.refused is not null
      or v_command.op not in ('reserve', 'settle', 'cancel', 'extend', 'charge');
    if not c_sees_all then
      case baseledger._owns_key(p_wallet_id, p_access, v_command.idempotency_key)
        when true then
          continue;
        when false then
          v_command.refused := 'LGIDK';
          v_command.detail := '{"field": "idempotency_key", "stored": null, "given": null}';
        else
          if v_command.op in ('settle', 'cancel', 'extend')
            -- One that is not in the journal may be opened by a command before it.
            and not baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id)
          then
            v_command.refused := 'LGRNF';
          end if;
      end case;
      if not p_access.allowed and (
        v_command.refused is not null
        or v_command.op in ('reserve', 'charge')
        or baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id) is null
      ) then
        v_command.refused := 'LGWNF';
        v_command.detail := jsonb_build_object('wallet_id', p_wallet_id);
      end if;
    end if;
    if v_command.refused is null and v_command.op in ('reserve', 'charge') then
      v_labels := case
        when p_access.free_labels = '{*}' then v_command.metadata
        else (
          select coalesce(jsonb_object_agg(m.key, m.value), '{}')
            from jsonb_each(v_command.metadata) as m
            where m.key = any (p_access.free_labels)
        )
      end || p_access.labels;
      if v_labels <> v_command.metadata then
        v_command.details := coalesce(v_command.details, '{}')
          || jsonb_build_object('labels', v_labels);
      end if;
    end if;
    p_commands[v_i] := v_command;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._apply_access from public;
