-- Of all that is in the way of a command, the obstacle that clears last: the detail of LGLIM, or
-- null for a lack of funds (LGNSF). What open reservations hold is back at the next deadline, a
-- window is over at its end; a credit may never come.
create or replace function baseledger._choose_obstacle(
  p_wallet_id text,
  p_now timestamptz,
  p_op text,
  p_amount bigint,
  p_tokens bigint,                    -- of its usage
  p_available bigint,
  p_reserved bigint,
  p_counters baseledger._counter[],
  p_counted integer[],
  p_holds baseledger._hold[]
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_return timestamptz;     -- when the next hold is back
  v_clears timestamptz;     -- when the chosen obstacle is out of the way
  v_at timestamptz;
  v_k integer;
  v_counter baseledger._counter;
  v_adds bigint;
  v_held boolean;
  v_detail jsonb;
begin
  v_return := coalesce(baseledger._find_next_return(p_wallet_id, p_now, p_holds), p_now);
  if p_available < p_amount then
    if p_available::numeric + p_reserved < p_amount then
      return null;
    end if;
    v_clears := v_return;
  end if;
  foreach v_k in array p_counted loop
    v_counter := p_counters[v_k];
    v_adds := baseledger._what_it_adds(p_op, v_counter.of, p_amount, p_tokens);
    continue when not v_counter.hard
      or v_counter.spent + v_counter.held + v_adds <= v_counter.amount
      or v_counter.amount is null
      or v_adds is null;
    v_held := v_counter.spent + v_adds <= v_counter.amount;
    v_at := case
      when v_held then v_return
      when v_adds > v_counter.amount then 'infinity'
      else v_counter.ends_at
    end;
    continue when v_at <= v_clears;
    v_clears := v_at;
    v_detail := jsonb_build_object(
      'limit_id', v_counter.limit_id,
      'values', to_jsonb(v_counter.label_values),
      'per', v_counter.per,
      'of', v_counter.of,
      'amount', v_counter.amount,
      'used', v_counter.spent + v_counter.held,
      'held', v_counter.held,
      'requested', v_adds,
      'shortfall', v_counter.spent + v_counter.held + v_adds - v_counter.amount,
      'reason', case when v_held then 'held' else 'exhausted' end,
      'retry_at', case when v_held then v_return end,
      'resets_at', case when not v_held then nullif(v_at, 'infinity') end
    );
  end loop;
  return v_detail;
end
$$;

revoke all on function baseledger._choose_obstacle from public;
