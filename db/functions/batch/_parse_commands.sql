-- Parses the commands of a batch for one wallet: see _read_commands.
create or replace function baseledger._parse_commands(
  p_commands jsonb,
  p_for_operators boolean,
  out commands baseledger._command[],
  out priced boolean                  -- some have usage
)
returns record
language plpgsql
stable
as $$
declare
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.place),
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id),
      bool_or(r.usage is not null)
    into commands, v_shared, priced
    from baseledger._read_commands(p_commands, p_for_operators, false) as r;
  if v_shared then
    commands := baseledger._link_commands(commands, null);
  end if;
  commands := coalesce(commands, '{}');
  priced := coalesce(priced, false);
end
$$;

revoke all on function baseledger._parse_commands from public;
