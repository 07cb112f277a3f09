-- Whether a command exceeds a hard limit that has holds to come back: asked while more is due than
-- was expired (see Backlog in _execute).
create or replace function baseledger._exceeds_limits(
  p_counters baseledger._counter[],
  p_counted integer[],
  p_command baseledger._command,
  p_hold baseledger._hold
)
returns boolean
language plpgsql
stable
as $$
declare
  c_amount constant bigint := case
    when p_command.op in ('reserve', 'charge') then coalesce(p_command.at_least, p_command.amount)
    when p_command.op = 'extend' then p_command.amount - p_hold.held
  end;
begin
  return exists (
    select from unnest(p_counters) with ordinality as c
      where c.ordinality = any(p_counted)
        and c.hard
        and c.held > 0
        and c.spent + c.held + baseledger._what_it_adds(
          p_command.op, c.of, c_amount, case when c.of = 'tokens'
            then baseledger._count_tokens(p_command.usage)
          end
        ) > c.amount
  );
end
$$;

revoke all on function baseledger._exceeds_limits from public;
