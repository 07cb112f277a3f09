-- What events do to funds that are watched: an alert each time they fall below an amount, and those
-- amounts that they are below in the end.
create or replace function baseledger._watch_balance(
  p_low_balances bigint[],
  inout below bigint[],
  p_funds numeric[],
  p_times timestamptz[],
  out alerts baseledger._alert[]
)
returns record
language plpgsql
stable
as $$
declare
  v_low bigint;
begin
  below := coalesce(below, '{}');
  alerts := '{}';
  for v_i in 1 .. cardinality(p_funds) loop
    foreach v_low in array p_low_balances loop
      if p_funds[v_i] >= v_low then
        below := array_remove(below, v_low);
      elsif v_low <> all (below) then
        below := below || v_low;
        alerts := alerts || row(
          'low_balance', v_low, null, null, v_low, p_funds[v_i], null, null, p_times[v_i]
        )::baseledger._alert;
      end if;
    end loop;
  end loop;
end
$$;

revoke all on function baseledger._watch_balance from public;
