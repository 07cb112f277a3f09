// What usage costs, on record and in limits.
import type { Rule } from "./mutant.ts";

const PROOF = ["test/proof/usage.test.ts"];

export const usage: readonly Rule[] = [
  {
    rule: "A command has an amount or usage",
    tests: PROOF,
    mutants: [
      {
        about: "usage may stand beside an amount",
        of: "_find_invalid_field",
        search: "then 'usage'",
        replace: "then null",
      },
      {
        about: "a command of a batch may have usage that no such command takes",
        of: "_batch_operations",
        search: "('cancel', false, '{op,idempotency_key,reservation_id,metadata}')",
        replace: "('cancel', false, '{op,idempotency_key,reservation_id,metadata,usage}')",
      },
      {
        about: "a reservation by usage is not priced",
        of: "reserve",
        search: "), p_usage is not null);",
        replace: "), false);",
      },
      {
        about: "a settlement by usage is not priced",
        of: "settle",
        search: "), p_usage is not null);",
        replace: "), false);",
      },
      {
        about: "a charge by usage is not priced",
        of: "charge",
        search: "), p_usage is not null);",
        replace: "), false);",
      },
    ],
  },
  {
    rule: "Usage is priced under the lock of its wallet, after access has decided",
    tests: PROOF,
    mutants: [
      {
        about: "a single wallet is not priced",
        of: "_lock_guarded",
        search: "if p_priced then",
        replace: "if false then",
      },
      {
        about: "usage is not priced if its wallet is open",
        of: "_execute",
        search: "w.restricted or w.closed or p_priced",
        replace: "w.restricted or w.closed",
      },
      {
        about: "several wallets are not priced",
        of: "_execute",
        search: "if p_priced then p_commands := baseledger._price_several(",
        replace: "if false then p_commands := baseledger._price_several(",
      },
      {
        about: "a restricted wallet of several is not priced",
        of: "_execute",
        search: "if p_priced then p_commands := baseledger._price_commands(",
        replace: "if false then p_commands := baseledger._price_commands(",
      },
      {
        about: "of several wallets, restricted ones are priced before access has decided",
        of: "_price_several",
        search: "continue when v_wallet.restricted;",
        replace: "",
      },
    ],
  },
  {
    rule: "A key stands for its usage, whatever it costs meanwhile",
    tests: PROOF,
    mutants: [
      {
        about: "a retry whose price is gone is refused",
        of: "_execute",
        search: "v_command.refused in ('LGRNF', 'LGPRC')",
        replace: "v_command.refused in ('LGRNF')",
      },
      {
        about: "a retry that a change of the price makes invalid is refused",
        of: "_execute",
        search: "or v_command.details -> 'price' <> 'null'",
        replace: "",
        tests: ["usage.sql"],
      },
      {
        about: "a retry of usage has the usage of the first",
        of: "_request_from_event",
        search: "'usage', p_details -> 'usage',",
        replace: "",
      },
      {
        about: "the cost of a retry is compared",
        of: "_request_from_event",
        search: "when p_event = 'cancelled' or p_details -> 'usage' is not null then null",
        replace: "when p_event = 'cancelled' then null",
      },
    ],
  },
  {
    rule: "The event says what was used, of which model, and by which price",
    tests: PROOF,
    mutants: [
      {
        about: "a settlement does not say what was used",
        of: "_execute",
        search: "when v_hold.status = 'open' and v_command.final then v_command.details",
        replace: "when v_hold.status = 'open' and v_command.final then null",
      },
      {
        about: "a settlement of a part, or late, does not say what was used",
        of: "_execute",
        search:
          "else coalesce(v_command.details, '{}') || case when v_hold.status = 'open' then '{\"final\"",
        replace: "else '{}' || case when v_hold.status = 'open' then '{\"final\"",
      },
    ],
  },
  {
    rule: "The label model is that of the usage, an alias resolved",
    tests: PROOF,
    mutants: [
      {
        about: "the label model is that of the metadata",
        of: "_labels",
        search: "when p_details -> 'usage' is null then",
        replace: "when true then",
      },
      {
        about: "the label model is an alias",
        of: "_labels",
        search: "coalesce(p_details ->> 'model', p_details -> 'usage' ->> 'model')",
        replace: "p_details -> 'usage' ->> 'model'",
      },
      {
        about: "the label model is only that of an alias",
        of: "_labels",
        search: "coalesce(p_details ->> 'model', p_details -> 'usage' ->> 'model')",
        replace: "p_details ->> 'model'",
      },
      {
        about: "the labels of a grant do not count beside usage",
        of: "_labels",
        search: "else coalesce(p_details -> 'labels', p_metadata) ||",
        replace: "else p_metadata ||",
      },
    ],
  },
  {
    rule: "An alias stands for its model, from when it was set",
    tests: PROOF,
    mutants: [
      {
        about: "aliases are not resolved",
        of: "_find_alias",
        search: "and r.variant = ''",
        replace: "and false",
      },
      {
        about: "an alias holds before it was set",
        of: "_find_alias",
        search: "and r.valid_from <= p_at",
        replace: "",
      },
      {
        about: "an alias stands for the model that it stood for first",
        of: "_find_alias",
        search: "r.valid_from desc, r.price_id desc",
        replace: "r.valid_from, r.price_id",
      },
      {
        about: "an alias is one of every provider",
        of: "_find_alias",
        search: "where r.provider = split_part(p_model, '/', 1) and",
        replace: "where",
      },
    ],
  },
  {
    rule: "Limits of tokens count what came in and what went out",
    tests: PROOF,
    mutants: [
      {
        about: "what was read from a cache is no token",
        of: "_count_input",
        search: "or u.key like 'cache\\_%'",
        replace: "",
      },
      {
        about: "output is no token",
        of: "_count_tokens",
        search: "where u.key like 'output%'",
        replace: "where false",
      },
      {
        about: "a reservation adds no tokens",
        of: "_what_it_adds",
        search: "p_op in ('reserve', 'charge') and p_tokens > 0 then p_tokens",
        replace: "p_op = 'charge' and p_tokens > 0 then p_tokens",
      },
      {
        about: "a settlement spends no tokens",
        of: "_what_it_spends",
        search: "when 'tokens' then case when p_op in ('settle', 'charge')",
        replace: "when 'tokens' then case when p_op in ('charge')",
      },
      {
        about: "a settlement by an amount is refused as too many tokens",
        of: "_what_it_holds",
        search: "when 'tokens' then p_tokens",
        replace: "when 'tokens' then p_reserved",
      },
      {
        about: "a part of the tokens is held on after it was settled",
        of: "_execute",
        search: "when v_command.op = 'settle' then -least(v_used_tokens, v_tokens[v_k])",
        replace: "",
      },
      {
        about: "more tokens than were held come back",
        of: "_execute",
        search: "-least(v_used_tokens, v_tokens[v_k])",
        replace: "-v_used_tokens",
      },
      {
        about: "what was settled in part before is held again",
        of: "_held_tokens",
        search: "when 'settled' then -1",
        replace: "",
      },
      {
        about: "a single command does not look at limits of tokens",
        of: "_load_single",
        search: "(f.counter).of = 'tokens' or (f.counter).hard",
        replace: "(f.counter).hard",
      },
    ],
  },
  {
    rule: "A cost is the sum over the kinds, divided once and rounded up",
    tests: PROOF,
    mutants: [
      {
        about: "a cost is rounded down",
        of: "_cost",
        search: "div(v_sum * 1000 + p_step - 1, p_step)",
        replace: "div(v_sum * 1000, p_step)",
      },
      {
        about: "a cost is always rounded up by one",
        of: "_cost",
        search: "div(v_sum * 1000 + p_step - 1, p_step)",
        replace: "div(v_sum * 1000 + p_step, p_step)",
      },
      {
        about: "a kind without a rate is free",
        of: "_cost",
        search: "when p_usage - p_kinds - '{model,variant}'::text[] = '{}' then",
        replace: "when true then",
      },
      {
        about: "a count may be negative",
        of: "_cost",
        search: "between 0 and 1000000000000",
        replace: "<= 1000000000000",
      },
      {
        about: "a count may be 10^12 and one",
        of: "_cost",
        search: "between 0 and 1000000000000",
        replace: "between 0 and 1000000000001",
      },
      {
        about: "a count may have a fraction",
        of: "_cost",
        search: "or scale(v_value::numeric) > 0",
        replace: "",
      },
    ],
  },
  {
    rule: "The row that counts is that of the tier, the latest valid, then the latest added",
    tests: PROOF,
    mutants: [
      {
        about: "the lowest tier counts",
        of: "_find_price",
        search: "order by r.above desc,",
        replace: "order by r.above,",
      },
      {
        about: "the first price counts",
        of: "_find_price",
        search: "r.valid_from desc, r.price_id desc)",
        replace: "r.valid_from, r.price_id)",
      },
      {
        about: "of two prices from one time on the first counts",
        of: "_find_price",
        search: "r.price_id desc)",
        replace: "r.price_id)",
      },
      {
        about: "a tier begins at its bound",
        of: "_find_price",
        search: "filter (where r.above < greatest(p_input, 1)",
        replace: "filter (where r.above <= greatest(p_input, 1)",
      },
      {
        about: "a price holds before its time",
        of: "_find_price",
        search: "(where r.above < greatest(p_input, 1) and r.valid_from <= p_at)",
        replace: "(where r.above < greatest(p_input, 1))",
      },
      {
        about: "variants have one price",
        of: "_find_price",
        search: "and r.variant = p_variant",
        replace: "and r.variant <> ''",
      },
      {
        about: "a model has the price of every provider",
        of: "_find_price",
        search: "where r.provider = split_part(p_model, '/', 1) and",
        replace: "where",
      },
      {
        about: "what was read from a cache does not decide the tier",
        of: "_count_input",
        search: "or u.key like 'cache\\_%'",
        replace: "",
      },
      {
        about: "tiers are not looked at",
        of: "_price_commands",
        search: "v_price.until_above is null and",
        replace: "",
      },
    ],
  },
  {
    rule: "A call has the price of the instant at which it was opened",
    tests: PROOF,
    mutants: [
      {
        about: "a settlement has the price of now",
        of: "_price_commands",
        search: "coalesce(o.opened_at, v_now) as opened_at",
        replace: "v_now as opened_at",
      },
      {
        about: "in a batch, calls of other times have the price of the first",
        of: "_price_commands",
        search: "or v_call.opened_at < v_price.since or v_call.opened_at >= v_price.until",
        replace: "",
      },
      {
        about: "in a batch, another model has the price of the first",
        of: "_price_commands",
        search: "v_call.model is distinct from v_name or",
        replace: "v_name is null or",
      },
      {
        about: "in a batch, another variant has the price of the first",
        of: "_price_commands",
        search: "or v_call.variant is distinct from v_price.variant",
        replace: "",
      },
      {
        about: "in a batch, another wallet has the unit of the first",
        of: "_price_commands",
        search: "if v_call.wallet_id is distinct from v_wallet_id then",
        replace: "if v_wallet_id is null then",
      },
    ],
  },
  {
    rule: "A settlement has the model and the variant of its opening, unless it names others",
    tests: PROOF,
    mutants: [
      {
        about: "a settlement must name its model",
        of: "_name_model",
        search: "coalesce(p_opening ->> 'model', p_opening -> 'usage' ->> 'model')",
        replace: "null",
      },
      {
        about: "a settlement stands for what the alias stands for now",
        of: "_name_model",
        search: "coalesce(p_opening ->> 'model', p_opening -> 'usage' ->> 'model')",
        replace: "p_opening -> 'usage' ->> 'model'",
      },
      {
        about: "a settlement has the standard variant",
        of: "_name_model",
        search: "coalesce(p_opening -> 'usage' ->> 'variant', 'standard')",
        replace: "'standard'",
      },
      {
        about: "in a batch, a settlement does not know the opening before it",
        of: "_price_commands",
        search: "case when o.opened_at is null and c.op = 'settle' and c.hold_at is not null",
        replace: "case when false",
      },
    ],
  },
  {
    rule: "What has no price is refused, and says why",
    tests: PROOF,
    mutants: [
      {
        about: "a price in another currency counts",
        of: "_price_commands",
        search: "and v_price.currency = v_unit",
        replace: "",
      },
      {
        about: "a wallet of few decimals pays by usage",
        of: "_price_commands",
        search: "and v_scale >= 6",
        replace: "",
      },
      {
        about: "another currency is not said",
        of: "_price_usage",
        search: "when v_price.currency <> p_unit then",
        replace: "when false then",
      },
      {
        about: "too few decimals are not said",
        of: "_price_usage",
        search: "when p_scale < 6 then",
        replace: "when false then",
      },
      {
        about: "an unknown variant is an unknown model",
        of: "_price_usage",
        search: "then 'variant' else 'model'",
        replace: "then 'model' else 'model'",
      },
      {
        about: "a cost beyond 64 bits is an error",
        of: "_price_usage",
        search: "if v_cost > 9223372036854775807 then",
        replace: "if false then",
      },
      {
        about: "less may be granted than at least",
        of: "_price_commands",
        search: "if v_command.at_least > v_command.amount then",
        replace: "if false then",
      },
    ],
  },
];
