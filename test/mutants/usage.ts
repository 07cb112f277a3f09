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
        of: "_count_tokens",
        search: "or u.key like 'cache\\_%'",
        replace: "",
      },
      {
        about: "output is no token",
        of: "_count_tokens",
        search: "or u.key like 'output%'",
        replace: "",
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
];
