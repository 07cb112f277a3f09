-- By how much an event changes what a counter has spent. (Whether a refund counts is decided
-- before.) A SQL function without settings, so that it is inlined.
create or replace function baseledger._what_it_spends(
  p_of text,
  p_op text,
  p_spent bigint,
  p_tokens bigint                     -- of its usage
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then p_spent
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 else 0 end
    when 'tokens' then case when p_op in ('settle', 'charge') then p_tokens else 0 end
    else 0
  end
$$;

revoke all on function baseledger._what_it_spends from public;
