-- Parses the commands of a batch for one wallet: see _read_commands.
create or replace function baseledger._parse_commands(p_commands jsonb, p_for_operators boolean)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_commands baseledger._command[];
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.place),
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id)
    into v_commands, v_shared
    from baseledger._read_commands(p_commands, p_for_operators, false) as r;
  return case
    when v_shared then baseledger._link_commands(v_commands, null)
    else coalesce(v_commands, '{}')
  end;
end
$$;

revoke all on function baseledger._parse_commands from public;
