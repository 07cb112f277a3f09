-- By how much an event changes what a counter holds; p_details are those of the event. A SQL
-- function without settings, so that it is inlined.
create or replace function baseledger._what_it_holds(
  p_of text,
  p_op text,
  p_reserved bigint,
  p_details jsonb,
  p_tokens bigint                     -- by how much the tokens that it holds change
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then p_reserved
    when 'open' then case
      when p_op = 'reserve' then 1
      -- A settlement that is late or of a part says so.
      when p_op in ('cancel', 'expire')
        or p_op = 'settle' and p_details -> 'late' is null and p_details -> 'final' is null
        then -1
      else 0
    end
    when 'tokens' then p_tokens
    else 0
  end
$$;

revoke all on function baseledger._what_it_holds from public;
