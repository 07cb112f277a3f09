-- Whether the clock has jumped ahead since the last sweeps, and has not gone on from there for a
-- while. An expiry is final, so the sweep waits for a clock that may be wrong for a moment; due
-- reservations count as returned all the same.
--
-- Each look at the clock is a row, at most one in c_apart: no sweep waits for another one's open
-- transaction, and a sweep that fails leaves no row. The gap that counts is the one after the last
-- look before c_settled: a jump that is younger is not believed. Whoever sweeps rarely has long
-- gaps, so a gap may also be twice as long as the one before it. Looks that are ahead of the clock
-- are left over from before it was set back, and are ignored.
create or replace function baseledger._clock_jumped(p_now timestamptz)
returns boolean
language plpgsql
volatile
as $$
declare
  c_apart constant interval := '5 seconds';
  c_settled constant interval := '10 seconds';
  c_far constant interval := '1 minute';
  v_earlier timestamptz;
  v_before timestamptz;
  v_after timestamptz;
begin
  select max(s.looked_at) into v_before
    from baseledger.sweeps s
    where s.looked_at <= p_now - c_settled;
  select max(s.looked_at) into v_earlier
    from baseledger.sweeps s
    where s.looked_at < v_before;
  select min(s.looked_at) into v_after
    from baseledger.sweeps s
    where s.looked_at > v_before and s.looked_at <= p_now;

  if not exists (
    select from baseledger.sweeps s
      where s.looked_at > p_now - c_apart and s.looked_at <= p_now
  ) then
    delete from baseledger.sweeps s
      where s.looked_at in (
        select d.looked_at from baseledger.sweeps d
          where d.looked_at < v_earlier or d.looked_at > p_now
          for update skip locked
      );
    insert into baseledger.sweeps values (p_now) on conflict do nothing;
  end if;

  -- null: there is no look to compare with
  return coalesce(
    coalesce(v_after, p_now) - v_before > greatest(c_far, 2 * (v_before - v_earlier)), false
  );
end
$$;

revoke all on function baseledger._clock_jumped from public;
