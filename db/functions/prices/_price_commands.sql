-- Prices the commands of wallets that have usage, under the wallets' locks: sets their amounts, and
-- the price row in their details; or refuses them, with LGPRC where there is no price.
--
-- A call has one price: that of the instant at which its reservation was opened. A settlement takes
-- the model and the variant of its reservation, where its usage names no others.
--
-- A settlement without a model whose reservation is not found stays without an amount: it gets
-- LGRNF from _execute, or the receipt of its key.
create or replace function baseledger._price_commands(
  p_wallet_id text,
  p_wallet_of text[],                 -- of several: of each command that is to be priced
  p_commands baseledger._command[],
  p_first integer,
  p_until integer
)
returns baseledger._command[]
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_call record;
  v_name text;                        -- of a model, or an alias
  v_price baseledger._price;          -- its price: most commands of a batch have the same
  v_cost numeric;
  v_wallet_id text;                   -- whose unit these are
  v_unit text;
  v_scale integer;
  v_step numeric;
  v_priced baseledger._priced_usage;
  v_command baseledger._command;
begin
  for v_call in
    select c.place, c.wallet_id, c.usage, m.model, m.variant,
        coalesce(o.opened_at, v_now) as opened_at, (b.details ->> 'price')::bigint as known
      from (
        select u.ordinality::integer + p_first - 1 as place, u.op, u.reservation_id, u.hold_at,
            u.usage,
            coalesce(p_wallet_id, p_wallet_of[u.ordinality]) as wallet_id
          from unnest(p_commands[p_first:p_until]) with ordinality as u
          where u.usage is not null and u.refused is null
          offset 0
      ) as c
      left join lateral baseledger._find_opening(
        c.wallet_id, case when c.op = 'settle' then c.reservation_id end
      ) as o on true
      cross join lateral (
        select coalesce(
            o.details,
            case when o.opened_at is null and c.op = 'settle' and c.hold_at is not null
              then jsonb_build_object('usage', baseledger._find_usage(p_commands, c.place))
            end
          ) as details
          offset 0
      ) as b
      cross join lateral baseledger._name_model(c.usage, b.details) as m
      where c.wallet_id is not null
        and (
          c.op <> 'settle'
          or o.opened_at is not null
          or c.usage ? 'model'
          or b.details -> 'usage' <> 'null'
        )
  loop
    if v_call.wallet_id is distinct from v_wallet_id then
      select w.wallet_id, w.unit, w.scale, 10::numeric ^ (18 - w.scale)
        into v_wallet_id, v_unit, v_scale, v_step
        from baseledger.wallets w
        where w.wallet_id = v_call.wallet_id;
    end if;
    if v_call.model is distinct from v_name
      or v_call.variant is distinct from v_price.variant
      or v_call.opened_at < v_price.since
      or v_call.opened_at >= v_price.until
    then
      v_name := v_call.model;
      v_price := baseledger._find_named_price(v_name, v_call.variant, v_call.opened_at);
    end if;
    v_cost := case
      when v_price.until_above is null
        and v_price.currency = v_unit
        and v_scale >= 6
        and coalesce(v_call.known = v_price.price_id, true)
        then baseledger._cost(v_call.usage, v_price.kinds, v_price.rates, v_step)
    end;
    v_command := p_commands[v_call.place];
    if v_cost <= 9223372036854775807 then
      v_command.amount := v_cost;
      v_command.details := case
        when v_command.details is null then jsonb_set(v_price.details, '{usage}', v_call.usage)
        else v_command.details || jsonb_set(v_price.details, '{usage}', v_call.usage)
      end;
    else
      v_priced := baseledger._price_usage(
        v_call.usage, v_call.model, v_call.variant, v_call.opened_at, v_call.known, v_unit, v_scale
      );
      v_command.amount := v_priced.cost;
      v_command.refused := v_priced.refused;
      v_command.detail := v_priced.detail;
      v_command.details := coalesce(v_command.details, '{}')
        || jsonb_build_object('price', v_priced.price_id, 'usage', v_call.usage)
        || case when v_priced.model <> v_call.model
          then jsonb_build_object('model', v_priced.model)
          else '{}'
        end;
    end if;
    if v_command.at_least > v_command.amount then
      v_command.refused := 'LGARG';
      v_command.detail := baseledger._describe_argument('at_least');
    end if;
    p_commands[v_call.place] := v_command;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._price_commands from public;
