-- By how much an event changes what a counter has spent. A refund counts only if its reservation was
-- opened in the window, and after the limit was set. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._what_it_spends(
  p_of text,
  p_op text,
  p_spent bigint,
  p_opened_at timestamptz,
  p_starts_at timestamptz,
  p_set_at timestamptz
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then case
      when p_op = 'refund' and (p_opened_at < p_starts_at or p_opened_at < p_set_at) then 0
      else p_spent
    end
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 else 0 end
    else 0
  end
$$;

revoke all on function baseledger._what_it_spends from public;
