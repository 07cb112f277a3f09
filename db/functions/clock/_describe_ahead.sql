-- What the details of an event record when it is ahead of the server's clock, as its wallet's last
-- event was: by how many microseconds. Null for any other event.
create or replace function baseledger._describe_ahead(p_at timestamptz, p_clock timestamptz)
returns jsonb
language plpgsql
stable
as $$
begin
  if p_at > p_clock + baseledger._clock_slack() then
    return jsonb_build_object(
      'ahead_us', (extract(epoch from p_at - p_clock) * 1000000)::bigint
    );
  end if;
  return null;
end
$$;

revoke all on function baseledger._describe_ahead from public;
