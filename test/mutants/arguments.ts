// What an argument may be.
import type { Rule } from "./mutant.ts";

export const argumentsOf: readonly Rule[] = [
  {
    rule: "Amounts are whole and above 0; a settlement may be 0",
    mutants: [
      {
        about: "any command may have the amount 0",
        of: "_find_invalid_field",
        search: "p_amount < 1 and (p_amount < 0 or p_op <> 'settle')",
        replace: "p_amount < 0",
      },
      {
        about: "a settlement may be negative",
        of: "_find_invalid_field",
        search: "p_amount < 1 and (p_amount < 0 or p_op <> 'settle')",
        replace: "p_amount < 1 and p_op <> 'settle'",
      },
      {
        about: "amounts may be missing",
        of: "_find_invalid_field",
        search:
          "or p_amount is null and p_op in ( 'reserve', 'settle', 'charge', 'credit', 'withdraw', 'refund', 'transfer_out', 'transfer_in' )",
        replace: "",
      },
      {
        about: "p_at_least may be above the amount",
        of: "_find_invalid_field",
        search: "p_at_least < 1 or p_at_least > p_amount",
        replace: "p_at_least < 1",
      },
      {
        about: "p_at_least may be below one",
        of: "_find_invalid_field",
        search: "p_at_least < 1 or p_at_least > p_amount",
        replace: "p_at_least > p_amount",
      },
    ],
  },
  {
    rule: "A deadline is 1 second to 30 days away",
    mutants: [
      {
        about: "a deadline may be now",
        of: "_find_invalid_field",
        search: "p_ttl < interval '1 second'",
        replace: "p_ttl < interval '0 seconds'",
      },
      {
        about: "a deadline may be 30 days away and a moment",
        of: "_find_invalid_field",
        search: "p_ttl > interval '720 hours'",
        replace: "p_ttl > interval '720 hours 1 millisecond'",
      },
      {
        about: "a deadline may not be 30 days away",
        of: "_find_invalid_field",
        search: "p_ttl > interval '720 hours'",
        replace: "p_ttl >= interval '720 hours'",
      },
      {
        about: "a month is as long as the time zone makes it",
        of: "_as_seconds",
        search: "interval '0' and interval '1 year'",
        replace: "interval '0' and interval '-1 year'",
      },
    ],
  },
  {
    rule: "Ids and keys are not blank, and have at most 255 characters",
    mutants: [
      {
        about: "keys may be blank",
        of: "_find_invalid_field",
        search: "or baseledger._is_ambiguous_name(p_idempotency_key)",
        replace: "",
      },
      {
        about: "keys may have 256 characters",
        of: "_find_invalid_field",
        search: "pg_catalog.length(p_idempotency_key) > 255",
        replace: "pg_catalog.length(p_idempotency_key) > 256",
      },
      {
        about: "ids of reservations may have any length",
        of: "_find_invalid_field",
        search:
          "or pg_catalog.octet_length(p_reservation_id) > 255 and pg_catalog.length(p_reservation_id) > 255",
        replace: "",
      },
      {
        about: "a wallet id may be blank",
        of: "_is_impossible_id",
        search: String.raw`or pg_catalog.btrim(p_id, E' \t\r\n') = ''`,
        replace: "",
      },
    ],
  },
  {
    rule: "A new name begins and ends with what shows",
    tests: ["names.sql"],
    mutants: [
      {
        about: "a reservation's name may begin or end with what does not show",
        of: "_find_invalid_field",
        search: "then baseledger._is_ambiguous_name(p_reservation_id)",
        replace: String.raw`then pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''`,
      },
      {
        about: "a reservation named before that rule cannot be settled",
        of: "_find_invalid_field",
        search: "case when p_op in ('reserve', 'charge')",
        replace: "case when true",
      },
      {
        about: "a wallet's name may begin or end with what does not show",
        of: "open_wallet",
        search: "baseledger._is_ambiguous_name(p_wallet_id) or",
        replace: "",
      },
      {
        about: "a name may end with what does not show",
        of: "_is_ambiguous_name",
        search: "'^$|^[-]|[-]$'",
        replace: "'^$|^[-]'",
      },
      {
        about: "a name may begin with a blank",
        of: "_is_ambiguous_name",
        search: "p_name collate \"C\" >= '!' and",
        replace: "",
      },
      {
        about: "a name may begin with what does not show",
        of: "_is_ambiguous_name",
        search: "'^$|^[-]|[-]$'",
        replace: "'^$|[-]$'",
      },
      {
        about: "a name may be empty",
        of: "_is_ambiguous_name",
        search: "'^$|^[-]|[-]$'",
        replace: "'^[-]|[-]$'",
      },
      {
        about: "a name may begin and end with what does not show and is not ASCII",
        of: "_is_ambiguous_name",
        search: String.raw`\\u0001-\\u0020\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5' '\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164' '\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\U0001bca0-\\U0001bca3' '\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff'`,
        replace: String.raw`\\u0001-\\u0020\\u007f'`,
      },
      {
        about: "only the first character of a name is checked",
        of: "_is_ambiguous_name",
        search: "and pg_catalog.right(p_name, 1) collate \"C\" >= '!'",
        replace: "",
      },
    ],
  },
  {
    rule: "Metadata is an object of at most 16 KiB, and a freeze has a reason",
    mutants: [
      {
        about: "metadata may be a byte too large",
        of: "_find_invalid_field",
        search: "> 16384",
        replace: "> 16385",
      },
      {
        about: "metadata may be anything",
        of: "_find_invalid_field",
        search: "pg_catalog.jsonb_typeof(p_metadata) <> 'object' or",
        replace: "",
      },
      {
        about: "a freeze needs no reason",
        of: "_find_invalid_field",
        search: "p_details ->> 'reason' is null or",
        replace: "",
      },
    ],
  },
  {
    rule: "Single commands are checked",
    mutants: [
      {
        about: "single commands are not checked",
        of: "_make_command",
        search: ") is not null then 'LGARG' end",
        replace: ") is not null then null end",
      },
    ],
  },
];
