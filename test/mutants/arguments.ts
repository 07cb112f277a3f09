// Mistakes in what an argument may be, and in when two requests are the same.
import type { Mutant } from "./mutant.ts";

const INVALID = "_find_invalid_field";
const HIDES = "_is_ambiguous_name";

export const argumentsOf: readonly Mutant[] = [
  {
    about: "of a repeated key only the amount is compared",
    of: "_compare_requests",
    search: `'op', 'reservation_id', 'amount', 'at_least', 'ttl', 'final', 'to', 'reason', 'metadata',
    'unit', 'scale', 'overdraft_limit'`,
    replace: "'amount'",
  },
  {
    about: "a repeated key may come with other metadata",
    of: "_compare_requests",
    search: "'reason', 'metadata',",
    replace: "'reason',",
  },
  {
    about: "a repeated key may come with another time to live",
    of: "_compare_requests",
    search: "'at_least', 'ttl', 'final'",
    replace: "'at_least', 'final'",
  },
  {
    about: "a repeated transfer may go to another wallet",
    of: "_compare_requests",
    search: "'to', 'reason'",
    replace: "'reason'",
  },
  {
    about: "a wallet is opened again on other terms",
    of: "_compare_requests",
    search: "'unit', 'scale', 'overdraft_limit'",
    replace: "'unit', 'scale'",
  },
  {
    about: "any command may be of nothing",
    of: INVALID,
    search: "p_amount < 1 and (p_amount < 0 or p_op <> 'settle')",
    replace: "p_amount < 0",
  },
  {
    about: "a settlement may be negative",
    of: INVALID,
    search: "p_amount < 1 and (p_amount < 0 or p_op <> 'settle')",
    replace: "p_amount < 1 and p_op <> 'settle'",
  },
  {
    about: "amounts may be missing",
    of: INVALID,
    search:
      "      or p_amount is null and p_op not in ('cancel', 'extend', 'freeze', 'unfreeze', 'open')\n",
    replace: "",
  },
  {
    about: "p_at_least may be above the amount",
    of: INVALID,
    search: "p_at_least < 1 or p_at_least > p_amount",
    replace: "p_at_least < 1",
  },
  {
    about: "p_at_least may be below one",
    of: INVALID,
    search: "p_at_least < 1 or p_at_least > p_amount",
    replace: "p_at_least > p_amount",
  },
  {
    about: "a deadline may be at once",
    of: INVALID,
    search: "p_ttl < interval '1 second'",
    replace: "p_ttl < interval '0 seconds'",
  },
  {
    about: "a deadline may be 30 days away and a moment",
    of: INVALID,
    search: "p_ttl > interval '720 hours'",
    replace: "p_ttl > interval '720 hours 1 millisecond'",
  },
  {
    about: "a deadline may not be 30 days away",
    of: INVALID,
    search: "p_ttl > interval '720 hours'",
    replace: "p_ttl >= interval '720 hours'",
  },
  {
    about: "keys may be blank",
    of: INVALID,
    search: "      or baseledger._is_ambiguous_name(p_idempotency_key)\n",
    replace: "",
  },
  {
    about: "a reservation may begin or end with what does not show",
    of: INVALID,
    search: "then baseledger._is_ambiguous_name(p_reservation_id)",
    replace: "then pg_catalog.btrim(p_reservation_id, E' \\t\\r\\n') = ''",
  },
  {
    about: "a reservation of before cannot be settled under its name",
    of: INVALID,
    search: "case when p_op in ('reserve', 'charge')\n",
    replace: "case when true\n",
  },
  {
    about: "a wallet may begin or end with what does not show",
    of: "open_wallet",
    search: "if baseledger._is_ambiguous_name(p_wallet_id) or",
    replace: "if",
  },
  {
    about: "a name may end with what does not show",
    of: HIDES,
    search: "'^$|^[-]|[-]$'",
    replace: "'^$|^[-]'",
    tests: ["names.sql"],
  },
  {
    about: "a name may begin with a blank",
    of: HIDES,
    search: "      p_name collate \"C\" >= '!'\n      and ",
    replace: "      ",
    tests: ["names.sql"],
  },
  {
    about: "a name may begin with what does not show",
    of: HIDES,
    search: "'^$|^[-]|[-]$'",
    replace: "'^$|[-]$'",
    tests: ["names.sql"],
  },
  {
    about: "a name may be empty",
    of: HIDES,
    search: "'^$|^[-]|[-]$'",
    replace: "'^[-]|[-]$'",
    tests: ["names.sql"],
  },
  {
    about: "a name may begin and end with what does not show and is not ASCII",
    of: HIDES,
    search: String.raw`\\u0001-\\u0020\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5'
        '\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164'
        '\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\U0001bca0-\\U0001bca3'
        '\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff'`,
    replace: String.raw`\\u0001-\\u0020\\u007f'`,
    tests: ["names.sql"],
  },
  {
    about: "only the first character of a name is looked at",
    of: HIDES,
    search: "and pg_catalog.right(p_name, 1) collate \"C\" >= '!'",
    replace: "and true",
    tests: ["names.sql"],
  },
  {
    about: "keys may have 256 characters",
    of: INVALID,
    search: "pg_catalog.length(p_idempotency_key) > 255",
    replace: "pg_catalog.length(p_idempotency_key) > 256",
  },
  {
    about: "ids of reservations may have any length",
    of: INVALID,
    search: "      or pg_catalog.length(p_reservation_id) > 255\n",
    replace: "",
  },
  {
    about: "metadata may be a byte too large",
    of: INVALID,
    search: "> 16384",
    replace: "> 16385",
  },
  {
    about: "metadata may be anything",
    of: INVALID,
    search: "pg_catalog.jsonb_typeof(p_metadata) <> 'object'\n      or ",
    replace: "",
  },
  {
    about: "a freeze needs no reason",
    of: INVALID,
    search: "      p_details ->> 'reason' is null\n      or",
    replace: "     ",
  },
  {
    about: "half a step is rounded",
    of: "_parse_bigint",
    search: "\n          and p_value::numeric = pg_catalog.trunc(p_value::numeric)",
    replace: "",
  },
  {
    about: "a wallet id may be blank",
    of: "_require_id",
    search: " or btrim(p_id, E' \\t\\r\\n') = ''",
    replace: "",
  },
  {
    about: "the op of cancel takes an amount",
    of: "_command_fields",
    search: "when 'cancel' then '{op,",
    replace: "when 'cancel' then '{op,amount,",
  },
  {
    about: "a month is as long as a time zone makes it",
    of: "_as_seconds",
    search: "interval '0' and interval '1 year'",
    replace: "interval '0' and interval '-1 year'",
  },
  {
    about: "an empty batch of an unknown wallet is fine",
    of: "_execute_batch",
    search: "    perform baseledger._raise_wallet_not_found(p_wallet_id);\n",
    replace: "    null;\n",
  },
];
