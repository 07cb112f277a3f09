-- The model and the variant of the usage by which a batch opens the reservation of one of its
-- commands, before it: {model, variant}; {} where that cannot be said, as it opens it without
-- usage, or tries to with more than one model; null if it does not open it.
create or replace function baseledger._find_usage(
  p_commands baseledger._command[],
  p_place integer
)
returns jsonb
language plpgsql
immutable
as $$
begin
  return (
    select case when count(distinct o.names) = 1 and count(*) = count(o.names)
        then min(o.names::text)::jsonb
        else '{}'
      end
      from (
        select case when c.usage is not null then jsonb_build_object(
            'model', c.usage -> 'model', 'variant', c.usage -> 'variant'
          ) end as names
          from unnest(p_commands[p_commands[p_place].hold_at : p_place - 1]) as c
          where c.op in ('reserve', 'charge')
            and c.reservation_id = p_commands[p_place].reservation_id
            and c.refused is null
      ) as o
      having count(*) > 0
  );
end
$$;

revoke all on function baseledger._find_usage from public;
