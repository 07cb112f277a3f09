-- Whether the clock has leapt ahead since the sweep looked at it last, and has not gone on from there
-- for a while yet. An expiry is for good, so the sweep waits for a clock that may be wrong for a
-- moment; due reservations count as returned all the same.
--
-- Each look is a row, at most one in c_apart: nothing waits for a sweep in an open transaction, and
-- one that fails leaves no look. Looked at is the gap after the last look before c_settled: a leap
-- that is younger than that is not believed. Whoever sweeps rarely has long gaps, so a gap may also
-- be twice as long as the one before it. Looks that lie ahead belong to a clock that has stepped
-- back, and mean nothing.
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
