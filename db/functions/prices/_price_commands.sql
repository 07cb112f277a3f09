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
  v_priced baseledger._priced_usage;
  v_command baseledger._command;
begin
  for v_call in
    select c.place, c.usage, m.model, m.variant, m.opened_at, m.known, c.unit, c.scale,
        p.price_id, k.cost,
        p.currency = c.unit
          and c.scale >= 6
          and k.cost <= 9223372036854775807
          and coalesce(m.known = p.price_id, true)
          as is_plain
      from (
        select g.place, g.op, g.reservation_id, g.hold_at, g.wallet_id, g.usage,
            w.unit::text as unit, w.scale::integer as scale
          from (
            select u.ordinality::integer + p_first - 1 as place, u.op, u.reservation_id, u.hold_at,
                u.details -> 'usage' as usage,
                coalesce(p_wallet_id, p_wallet_of[u.ordinality]) as wallet_id
              from unnest(p_commands[p_first:p_until]) with ordinality as u
              where u.details -> 'usage' is not null and u.refused is null
              offset 0
          ) as g
          join baseledger.wallets w on w.wallet_id = g.wallet_id
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
      cross join lateral (
        select coalesce(
              c.usage ->> 'model', b.details ->> 'model', b.details -> 'usage' ->> 'model'
            ) as model,
            coalesce(c.usage ->> 'variant', b.details -> 'usage' ->> 'variant', 'standard')
              as variant,
            coalesce(o.opened_at, v_now) as opened_at,
            (b.details ->> 'price')::bigint as known
          where c.op <> 'settle'
            or o.opened_at is not null
            or c.usage -> 'model' is not null
            or b.details -> 'usage' <> 'null'
          offset 0
      ) as m
      cross join lateral baseledger._read_usage(
        case when jsonb_typeof(c.usage) = 'object' then c.usage else '{}' end
      ) as u
      left join lateral baseledger._find_price(
        m.model, m.variant, u.input, m.opened_at
      ) as p on u.valid
      left join lateral baseledger._cost(
        case when p.price_id is not null then c.usage else '{}' end, p.rates,
        10::numeric ^ (18 - c.scale)
      ) as k on true
  loop
    v_command := p_commands[v_call.place];
    if v_call.is_plain then
      v_command.amount := v_call.cost;
      v_command.details := v_command.details || jsonb_build_object('price', v_call.price_id);
    else
      v_priced := baseledger._price_usage(
        v_call.usage, v_call.model, v_call.variant, v_call.opened_at, v_call.known, v_call.unit,
        v_call.scale
      );
      v_command.amount := v_priced.cost;
      v_command.refused := v_priced.refused;
      v_command.detail := v_priced.detail;
      v_command.details := v_command.details || jsonb_build_object('price', v_priced.price_id)
        || case when v_priced.model <> v_call.model and v_command.op <> 'settle'
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
