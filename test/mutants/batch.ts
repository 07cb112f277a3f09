// How a batch is read.
import type { Rule } from "./mutant.ts";

export const batch: readonly Rule[] = [
  {
    rule: "A batch has at most 10,000 commands, of those that its role may send",
    mutants: [
      {
        about: "a batch may have any size",
        of: "_check_commands",
        search: "jsonb_array_length(p_commands) > 10000",
        replace: "jsonb_array_length(p_commands) > 1000000",
      },
      {
        about: "a batch takes one command less than it may",
        of: "_check_commands",
        search: "jsonb_array_length(p_commands) > 10000",
        replace: "jsonb_array_length(p_commands) > 9999",
      },
      {
        about: "a batch may name any command",
        of: "_read_commands",
        search: "v.fields is null or",
        replace: "",
      },
      {
        about: "an empty batch of an unknown wallet is granted",
        of: "_execute_batch",
        search: "perform baseledger._raise_wallet_not_found(p_wallet_id);",
        replace: "null;",
      },
    ],
  },
  {
    rule: "Fields are read strictly",
    mutants: [
      {
        about: "a misspelt field is ignored",
        of: "_read_commands",
        search: "or v.command - v.fields <> '{}'",
        replace: "",
      },
      {
        about: "an invalid amount counts as absent",
        of: "_read_commands",
        search: "or v.amount is null and v.given_amount is not null",
        replace: "",
      },
      {
        about: "a settlement of a batch is final only if it says so",
        of: "_read_commands",
        search: "v.final is distinct from 'false' as final",
        replace: "v.final is not distinct from 'true' as final",
      },
      {
        about: "final may be a string",
        of: "_read_commands",
        search: "or v.final is not null and jsonb_typeof(v.command -> 'final') <> 'boolean'",
        replace: "",
      },
      {
        about: "an amount with a fraction is rounded",
        of: "_parse_bigint",
        search: "and p_value::numeric = pg_catalog.trunc(p_value::numeric)",
        replace: "",
      },
      {
        about: "cancel takes an amount",
        of: "_batch_operations",
        search: "('cancel', false, '{op,",
        replace: "('cancel', false, '{op,amount,",
      },
    ],
  },
];
