-- What events do to funds that are watched: an alert each time they fall below an amount, and those
-- amounts that they are below in the end.
create or replace function baseledger._watch_balance(
  p_events baseledger.events[],
  p_low_balances bigint[],
  inout below bigint[],
  out alerts baseledger._alert[]
)
returns record
language plpgsql
stable
as $$
declare
  v_event baseledger.events;
  v_funds numeric;
  v_low bigint;
begin
  below := coalesce(below, '{}');
  alerts := '{}';
  foreach v_event in array p_events loop
    v_funds := v_event.available::numeric + v_event.reserved;
    foreach v_low in array p_low_balances loop
      if v_funds >= v_low then
        below := array_remove(below, v_low);
      elsif v_low <> all (below) then
        below := below || v_low;
        alerts := alerts || row(
          'low_balance', v_low, null, null, v_low, v_funds, null, null, v_event.occurred_at
        )::baseledger._alert;
      end if;
    end loop;
  end loop;
end
$$;

revoke all on function baseledger._watch_balance from public;
