// What limits grant and refuse.
import type { Rule } from "./mutant.ts";

export const limits: readonly Rule[] = [
  {
    rule: "Nothing is granted that takes a hard limit above its amount",
    tests: ["counting.sql", "obstacles.sql"],
    mutants: [
      {
        about: "a limit is refused at its amount",
        of: "_execute",
        search:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens) > v_max[v_k]",
        replace:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens) >= v_max[v_k]",
      },
      {
        about: "one more than a limit's amount is granted",
        of: "_execute",
        search:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens) > v_max[v_k]",
        replace:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens) > v_max[v_k] + 1",
      },
      {
        about: "what is held is not used",
        of: "_execute",
        search:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)",
        replace:
          "v_spent[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)",
      },
      {
        about: "what was spent is not used",
        of: "_execute",
        search:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)",
        replace:
          "v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)",
      },
      {
        about: "what a command adds does not count",
        of: "_execute",
        search:
          "v_spent[v_k] + v_held[v_k] + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)",
        replace: "v_spent[v_k] + v_held[v_k]",
      },
      {
        about: "hard limits do not refuse",
        of: "_execute",
        search: "v_command.refused := 'LGLIM'; exit;",
        replace: "exit;",
      },
      {
        about: "only the first limit is looked at",
        of: "_execute",
        search: "v_command.refused := 'LGLIM'; exit; end if;",
        replace: "v_command.refused := 'LGLIM'; end if; exit;",
      },
      {
        about: "soft limits refuse",
        of: "_spread_counters",
        search: "case when c.hard then c.amount end",
        replace: "c.amount",
      },
      {
        about: "larger holds are not looked at",
        of: "_execute",
        search: "if v_command.op in ('reserve', 'extend') or v_command.op = 'charge' and",
        replace: "if v_command.op = 'reserve' or v_command.op = 'charge' and",
      },
      {
        about: "the whole of a larger hold counts again",
        of: "_execute",
        search: "when 'extend' then v_reserved else v_command.amount",
        replace: "when 'extend' then v_command.amount else v_command.amount",
      },
      {
        about: "charges are not looked at",
        of: "_execute",
        search:
          "if v_command.op in ('reserve', 'extend') or v_command.op = 'charge' and v_command.details -> 'already_spent' is null then v_amount",
        replace: "if v_command.op in ('reserve', 'extend') then v_amount",
      },
      {
        about: "limits refuse what was spent already",
        of: "_execute",
        search:
          "if v_command.op in ('reserve', 'extend') or v_command.op = 'charge' and v_command.details -> 'already_spent' is null then v_amount",
        replace: "if v_command.op in ('reserve', 'extend', 'charge') then v_amount",
      },
      {
        about: "own amounts are ignored",
        of: "_find_counters",
        search: "coalesce(k.own_amount, l.amount)",
        replace: "l.amount",
        tests: ["set_limit_for.sql"],
      },
      {
        about: "a single command near a limit is not looked at",
        of: "_load_single",
        search: "> (f.counter).amount",
        replace: "> (f.counter).amount + 1",
      },
      {
        about: "a single command does not look at what is held",
        of: "_load_single",
        search: "(f.counter).spent + (f.counter).held + case",
        replace: "(f.counter).spent + case",
      },
      {
        about: "a single larger hold is not looked at",
        of: "_load_single",
        search: "or p_command.op = 'extend' and p_command.amount is not null",
        replace: "",
      },
      {
        about: "a single command adds no call",
        of: "_load_single",
        search: "else 1 end > (f.counter).amount",
        replace: "else 0 end > (f.counter).amount",
      },
    ],
  },
  {
    rule: "p_at_least grants what funds and all hard limits of amounts leave",
    tests: ["counting.sql", "limit_windows.sql"],
    mutants: [
      {
        about: "p_at_least ignores limits",
        of: "_execute",
        search: "if v_command.op = 'reserve' and v_command.at_least is not null then v_amount :=",
        replace: "if false then v_amount :=",
      },
      {
        about: "limits of calls bound what p_at_least gets",
        of: "_find_room",
        search: "where p_kinds[k] = 'amount'",
        replace: "",
      },
      {
        about: "limits of others bound what p_at_least gets",
        of: "_find_room",
        search: "unnest(p_counted) as k",
        replace: "generate_subscripts(p_max, 1) as k",
      },
      {
        about: "what is held bounds nothing",
        of: "_find_room",
        search: "p_max[k] - p_spent[k] - p_held[k]",
        replace: "p_max[k] - p_spent[k]",
      },
      {
        about: "p_at_least gets less than asked for",
        of: "_execute",
        search:
          "v_command.at_least, coalesce( baseledger._find_room(v_max, v_spent, v_held, v_kinds, v_slot.counters), v_amount )",
        replace:
          "coalesce( baseledger._find_room(v_max, v_spent, v_held, v_kinds, v_slot.counters), v_amount )",
      },
      {
        about: "p_at_least gets more than there is",
        of: "_execute",
        search: "v_amount := least(v_amount, greatest( v_command.at_least,",
        replace: "v_amount := least(v_command.amount, greatest( v_command.at_least,",
      },
    ],
  },
  {
    rule: "What commands add: amounts, calls, open reservations",
    tests: ["counting.sql", "obstacles.sql"],
    mutants: [
      {
        about: "a smaller hold is refused",
        of: "_what_it_adds",
        search: "case when p_amount > 0 then p_amount end",
        replace: "p_amount",
      },
      {
        about: "a larger hold is a call",
        of: "_what_it_adds",
        search: "case when p_op in ('reserve', 'charge') then 1 end",
        replace: "1",
      },
      {
        about: "a charge is no call",
        of: "_what_it_adds",
        search: "case when p_op in ('reserve', 'charge') then 1 end",
        replace: "case when p_op = 'reserve' then 1 end",
      },
      {
        about: "a charge is open",
        of: "_what_it_adds",
        search: "case when p_op = 'reserve' then 1 end",
        replace: "case when p_op in ('reserve', 'charge') then 1 end",
      },
      {
        about: "a larger hold is another open reservation",
        of: "_what_it_adds",
        search: "when 'open' then case when p_op = 'reserve' then 1 end",
        replace: "when 'open' then case when p_op in ('reserve', 'extend') then 1 end",
      },
      {
        about: "calls are counted at their settlement, too",
        of: "_what_it_spends",
        search: "p_op in ('reserve', 'charge') then 1 else 0",
        replace: "p_op in ('reserve', 'charge', 'settle') then 1 else 0",
      },
      {
        about: "charges are not counted as calls",
        of: "_what_it_spends",
        search: "p_op in ('reserve', 'charge') then 1 else 0",
        replace: "p_op = 'reserve' then 1 else 0",
      },
      {
        about: "cancelled calls are given back",
        of: "_what_it_spends",
        search: "p_op in ('reserve', 'charge') then 1 else 0",
        replace: "p_op in ('reserve', 'charge') then 1 when p_op = 'cancel' then -1 else 0",
      },
      {
        about: "open is not lowered by a cancellation",
        of: "_what_it_holds",
        search: "p_op in ('cancel', 'expire')",
        replace: "p_op = 'expire'",
      },
      {
        about: "open is not lowered by an expiry",
        of: "_what_it_holds",
        search: "p_op in ('cancel', 'expire')",
        replace: "p_op = 'cancel'",
      },
      {
        about: "open is not lowered by a settlement",
        of: "_what_it_holds",
        search:
          "or p_op = 'settle' and p_details -> 'late' is null and p_details -> 'final' is null",
        replace: "",
      },
      {
        about: "open is lowered by a part that is settled, or late",
        of: "_what_it_holds",
        search: "p_op = 'settle' and p_details -> 'late' is null and p_details -> 'final' is null",
        replace: "p_op = 'settle'",
      },
      {
        about: "a charge is counted as open",
        of: "_what_it_holds",
        search: "case when p_op = 'reserve' then 1",
        replace: "case when p_op in ('reserve', 'charge') then 1",
      },
      {
        about: "holds are not counted",
        of: "_what_it_holds",
        search: "when 'amount' then p_reserved",
        replace: "when 'amount' then 0",
      },
      {
        about: "spending is not counted",
        of: "_what_it_spends",
        search: "when 'amount' then p_spent",
        replace: "when 'amount' then 0",
      },
      {
        about: "late settlements are not counted",
        of: "_execute",
        search:
          "then baseledger._what_it_spends( v_kinds[v_k], v_command.op, v_move.spent, v_used_tokens )",
        replace:
          "then baseledger._what_it_spends(v_kinds[v_k], v_command.op, case when v_move.details @> '{\"late\": true}' then 0 else v_move.spent end, v_used_tokens)",
      },
      {
        about: "single late settlements are not counted",
        of: "_execute",
        search: "p_wallet_id, v_loaded.counters, v_command.op, v_move.spent, v_move.reserved,",
        replace:
          "p_wallet_id, v_loaded.counters, v_command.op, case when v_move.details @> '{\"late\": true}' then 0 else v_move.spent end, v_move.reserved,",
        tests: ["counting.sql", "limit_windows.sql"],
      },
      {
        about: "a settlement above its hold counts up to it",
        of: "_execute",
        search:
          "then baseledger._what_it_spends( v_kinds[v_k], v_command.op, v_move.spent, v_used_tokens )",
        replace:
          "then baseledger._what_it_spends(v_kinds[v_k], v_command.op, case v_command.op when 'settle' then least(v_move.spent, -v_move.reserved) else v_move.spent end, v_used_tokens)",
      },
    ],
  },
  {
    rule: "While more is due than was expired, limits need it back",
    tests: ["limit_windows.sql"],
    mutants: [
      {
        about: "a limit does not wait for the backlog",
        of: "_execute",
        search: "or v_wallet.limited and baseledger._exceeds_limits(",
        replace: "or false and baseledger._exceeds_limits(",
      },
      {
        about: "a chunk of the backlog has counters of its own",
        of: "_merge_counters",
        search: "k.place as known,",
        replace: "null::integer as known,",
      },
      {
        about: "a chunk of the backlog counts anew",
        of: "_merge_counters",
        search: "counters := p_known || array(",
        replace: "counters := counters[:cardinality(p_known)] || array(",
      },
      {
        about: "an expiry out of turn has the counters of another",
        of: "_execute",
        search: "v_slots[v_first_due] := v_slots[v_i];",
        replace: "",
      },
    ],
  },
  {
    rule: "The obstacle that clears last is reported",
    tests: ["obstacles.sql"],
    mutants: [
      {
        about: "the obstacle that clears first is reported",
        of: "_choose_obstacle",
        search: "continue when v_at <= v_clears;",
        replace: "continue when v_at >= v_clears;",
      },
      {
        about: "of two obstacles the second is reported",
        of: "_choose_obstacle",
        search: "continue when v_at <= v_clears;",
        replace: "continue when v_at < v_clears;",
      },
      {
        about: "a limit wins over a lack of funds",
        of: "_choose_obstacle",
        search: "v_clears := v_return; end if; foreach",
        replace: "end if; foreach",
      },
      {
        about: "funds that never come back come back",
        of: "_choose_obstacle",
        search: "if p_available::numeric + p_reserved < p_amount then return null; end if;",
        replace: "",
      },
      {
        about: "a window helps what is more than the amount",
        of: "_choose_obstacle",
        search: "when v_adds > v_counter.amount then 'infinity'",
        replace: "",
      },
      {
        about: "what is just covered by holds is exhausted",
        of: "_choose_obstacle",
        search: "v_held := v_counter.spent + v_adds <= v_counter.amount;",
        replace: "v_held := v_counter.spent + v_adds < v_counter.amount;",
      },
      {
        about: "used leaves out what is held",
        of: "_choose_obstacle",
        search: "'used', v_counter.spent + v_counter.held,",
        replace: "'used', v_counter.spent,",
      },
      {
        about: "the shortfall leaves out what is held",
        of: "_choose_obstacle",
        search: "'shortfall', v_counter.spent + v_counter.held + v_adds - v_counter.amount,",
        replace: "'shortfall', v_counter.spent + v_adds - v_counter.amount,",
      },
      {
        about: "a limit for ever resets",
        of: "_choose_obstacle",
        search: "nullif(v_at, 'infinity')",
        replace: "v_at",
      },
      {
        about: "an exhausted limit has a time to retry",
        of: "_choose_obstacle",
        search: "'retry_at', case when v_held then v_return end",
        replace: "'retry_at', v_return",
      },
      {
        about: "soft limits are reported",
        of: "_choose_obstacle",
        search: "continue when not v_counter.hard or",
        replace: "continue when",
      },
      {
        about: "limits that fit are reported",
        of: "_choose_obstacle",
        search: "or v_counter.spent + v_counter.held + v_adds <= v_counter.amount",
        replace: "",
      },
      {
        about: "requested is what is asked for at most",
        of: "_execute",
        search: "v_amount := case v_command.op when 'reserve' then v_amount when",
        replace: "v_amount := case v_command.op when 'reserve' then v_command.amount when",
      },
    ],
  },
];
