-- Loads the counters of a single command, as _load_batch does those of several.
--
-- tight: a limit or an alert may be near enough for it to reach, or tokens are limited, so that
-- _execute must look. For most commands it need not: each expression counts, see Cost in _execute.
create or replace function baseledger._load_single(
  p_wallet_id text,
  p_at timestamptz,
  p_command baseledger._command,
  out counters baseledger._counter[],
  out slots baseledger._slot[],
  out tight boolean
)
returns record
language plpgsql
stable
as $$
declare
  v_fresh boolean;
  v_opened_at timestamptz;
begin
  if p_command.op in ('reserve', 'charge') then
    select array_agg(f.counter), bool_and(f.fresh), bool_or(
        (f.counter).of = 'tokens'
        or (f.counter).hard and (f.counter).spent + (f.counter).held + case (f.counter).of
            when 'amount' then p_command.amount
            else 1
          end
          > (f.counter).amount
      )
      into counters, v_fresh, tight
      from baseledger._find_counters(
        p_wallet_id, baseledger._labels(p_command.details, p_command.metadata), null, null, p_at
      ) as f;
  else
    select array_agg(f.counter), bool_and(f.fresh), min(o.opened_at),
        bool_or((f.counter).of = 'tokens')
      into counters, v_fresh, v_opened_at, tight
      from baseledger._find_opening(p_wallet_id, p_command.reservation_id) as o
      cross join lateral baseledger._find_counters(
        p_wallet_id, o.labels, null, null, p_at
      ) as f;
    tight := tight
      or p_command.op = 'refund'
      or p_command.op = 'extend' and p_command.amount is not null;
  end if;
  -- No such reservation.
  if counters is null then
    tight := false;
  elsif tight or not v_fresh then
    tight := true;
    for v_i in 1 .. cardinality(counters) loop
      counters[v_i] := baseledger._refresh_counter(p_wallet_id, counters[v_i], p_at);
    end loop;
    slots := array[
      row(array(select generate_subscripts(counters, 1)), v_opened_at)::baseledger._slot
    ];
  end if;
end
$$;

revoke all on function baseledger._load_single from public;
