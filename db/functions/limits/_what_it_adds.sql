-- What a command adds to a counter before it is granted, of which p_amount would be held or
-- charged, and whose usage has p_tokens; null: nothing. A SQL function without settings, so that it
-- is inlined.
create or replace function baseledger._what_it_adds(
  p_op text,
  p_of text,
  p_amount bigint,
  p_tokens bigint
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then case when p_amount > 0 then p_amount end
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 end
    when 'tokens' then case when p_op in ('reserve', 'charge') and p_tokens > 0 then p_tokens end
    when 'open' then case when p_op = 'reserve' then 1 end
  end
$$;

revoke all on function baseledger._what_it_adds from public;
