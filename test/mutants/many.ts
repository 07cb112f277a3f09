// What is done in several wallets at once.
import type { Rule } from "./mutant.ts";

const beside = ["test/concurrency/many-wallets.test.ts"];

export const many: readonly Rule[] = [
  {
    rule: "Several wallets are locked, those that nobody else has, without waiting",
    tests: beside,
    mutants: [
      {
        about: "a batch waits for the wallets of others",
        of: "_lock_several",
        search: "for no key update skip locked",
        replace: "for no key update",
      },
      {
        about: "a batch fails at a wallet of others",
        of: "_lock_several",
        search: "for no key update skip locked",
        replace: "for no key update nowait",
      },
      {
        about: "the wallets of a batch are not locked",
        of: "_lock_several",
        search: "for no key update skip locked",
        replace: "",
      },
      {
        about: "commands of a wallet with a backlog are executed all the same",
        of: "_execute",
        search: "continue when v_wallet.has_more and v_asked > 0;",
        replace: "",
        tests: ["post_many.sql"],
      },
    ],
  },
  {
    rule: "A command is executed in its own wallet",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "keys and reservations are looked up in the first wallet",
        of: "_execute",
        search: "p_wallet_ids[c.ordinality],",
        replace: "p_wallet_ids[1],",
      },
      {
        about: "reservations are written to the first wallet",
        of: "_execute",
        search: "select p_wallet_ids[h.ordinality], h.reservation_id",
        replace: "select p_wallet_ids[1], h.reservation_id",
      },
      {
        about: "a batch of several wallets leaves ended reservations in the table",
        of: "_execute",
        search: "_delete_reservations(null, v_stale) where v_stale <> '{}'",
        replace: "_delete_reservations(null, v_stale) where false",
      },
      {
        about: "of several reservations that have ended, one leaves the table",
        of: "_delete_reservations",
        search: "where r.ctid = any(p_rows); else",
        replace: "where r.ctid = p_rows[1]; else",
      },
      {
        about: "instead of the reservations that have ended, others leave the table",
        of: "_delete_reservations",
        search: "where r.ctid = any(p_rows); else",
        replace: "where r.ctid <> all(p_rows); else",
      },
      {
        about: "of several wallets the first command of each is left out",
        of: "_lock_several",
        search: "min(u.place)::integer as first",
        replace: "min(u.place)::integer + 1 as first",
      },
      {
        about: "commands of a wallet end with the batch",
        of: "_lock_several",
        search: "max(u.place)::integer as until",
        replace: "cardinality(p_wallet_ids) as until",
      },
      {
        about: "a key of another wallet in the batch counts as used",
        of: "_execute",
        search: "where e.wallet_id = p_wallet_id and e.idempotency_key = v_command",
        replace: "where e.idempotency_key = v_command",
      },
      {
        about: "equal keys of different wallets are linked",
        of: "_link_commands",
        search: "partition by c.wallet_id, c.idempotency_key",
        replace: "partition by c.idempotency_key",
      },
      {
        about: "equal reservations of different wallets are linked",
        of: "_link_commands",
        search: "partition by c.wallet_id, c.reservation_id",
        replace: "partition by c.reservation_id",
      },
      {
        about: "commands that share only a key are not linked",
        of: "_link_commands",
        search: "where l.first_of_key < l.place or l.first_of_hold < l.place",
        replace: "where l.first_of_hold < l.place",
        tests: ["post_in_order.sql"],
      },
      {
        about: "commands that share only a reservation are not linked",
        of: "_link_commands",
        search: "where l.first_of_key < l.place or l.first_of_hold < l.place",
        replace: "where l.first_of_key < l.place",
      },
      {
        about: "a command that shares only a reservation counts as sharing its key",
        of: "_link_commands",
        search: "nullif(l.first_of_key, l.place)",
        replace: "l.first_of_key",
      },
      {
        about: "commands of several wallets that share a key are not linked",
        of: "_parse_several",
        search: "if v_shared then",
        replace: "if false then",
      },
      {
        about: "the time to retry is that of another wallet",
        of: "_execute",
        search: "then v_holds[v_wallet.first:v_wallet.until]",
        replace: "then v_holds",
      },
      {
        about: "the next deadline of a wallet is that of those before it",
        of: "_execute",
        search: "v_opened := null;",
        replace: "",
      },
      {
        about: "what is due in several wallets does not correct their next deadline",
        of: "_execute",
        search: "when u.swept then",
        replace: "when false then",
      },
      {
        about: "what was opened in several wallets does not count in their next deadline",
        of: "_execute",
        search: "least(v_wallet.next_deadline, v_opened), v_look_due",
        replace: "v_wallet.next_deadline, v_look_due",
      },
    ],
  },
  {
    rule: "A wallet refuses its own commands alone",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "a wallet in which nothing is granted keeps its expiries",
        of: "_execute",
        search: "= v_wallet.seq + v_expired or v_last.reserved < 0",
        replace: "= v_wallet.seq or v_last.reserved < 0",
      },
      {
        about: "expiries of one wallet count as those of the next",
        of: "_execute",
        search: "v_expired := 0; v_opened",
        replace: "v_opened",
      },
      {
        about: "a refused wallet drops the events of all",
        of: "_execute",
        search: "v_events := v_events[:cardinality(v_events) - (v_last.seq - v_wallet.seq)];",
        replace: "v_events := null;",
      },
      {
        about: "a refused wallet keeps its events",
        of: "_execute",
        search: "v_events := v_events[:cardinality(v_events) - (v_last.seq - v_wallet.seq)];",
        replace: "",
      },
      {
        about: "a refused wallet writes its reservations",
        of: "_execute",
        search: "for v_i in v_wallet.first .. v_wallet.until loop v_holds[v_i] := null;",
        replace: "for v_i in v_wallet.first .. v_wallet.until loop",
      },
      {
        about: "a refused wallet ends the reservations that have expired",
        of: "_execute",
        search: "for v_i in v_first_due .. v_until_due loop v_holds[v_i] := null; end loop;",
        replace: "",
      },
      {
        about: "a batch writes more held than there is",
        of: "_execute",
        search: "+ v_expired or v_last.reserved < 0",
        replace: "+ v_expired",
      },
      {
        about: "a batch writes less spent than nothing",
        of: "_execute",
        after: "-- One of several wallets is decided.",
        search: "or v_last.spent < 0",
        replace: "",
      },
      {
        about: "a batch writes a wallet that is below its limit",
        of: "_execute",
        after: "-- One of several wallets is decided.",
        search:
          "or v_last.available < -v_wallet.overdraft_limit and v_last.available < v_wallet.available",
        replace: "",
      },
      {
        about: "a batch refuses a wallet that was below its limit before",
        of: "_execute",
        after: "-- One of several wallets is decided.",
        search: "and v_last.available < v_wallet.available",
        replace: "",
      },
      {
        about: "an unsound wallet says that its commands were executed",
        of: "_execute",
        search: "if v_last.seq <> v_wallet.seq + v_expired then",
        replace: "if false then",
      },
      {
        about: "a wallet that is ahead of the clock says so of the others",
        of: "_execute",
        search: "coalesce(v_now, clock_timestamp())) end;",
        replace: "coalesce(v_now, clock_timestamp())) else v_note end;",
      },
    ],
  },
  {
    rule: "Each command has its answer, in the order of the commands",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "answers come in the order of the wallets",
        of: "post_many",
        search: "order by v_parsed.positions[r.ordinality]",
        replace: "order by r.ordinality",
      },
      {
        about: "commands of a wallet are executed backwards",
        of: "_parse_several",
        search: 'array_agg(r.command order by r.wallet_id collate "C", r.place)',
        replace: 'array_agg(r.command order by r.wallet_id collate "C", r.place desc)',
      },
      {
        about: "an unknown wallet is busy",
        of: "_refuse_unlocked",
        search: "else 'LGWNF'",
        replace: "else 'LGBSY'",
      },
      {
        about: "a wallet that another session has is unknown",
        of: "_refuse_unlocked",
        search: "then 'LGBSY'",
        replace: "then 'LGWNF'",
        tests: beside,
      },
      {
        about: "a bad command of a wallet that is not locked is not looked at",
        of: "_refuse_unlocked",
        search: "when c.refused is not null then c.refused",
        replace: "",
      },
      {
        about: "an id that no wallet can have is that of an unknown wallet",
        of: "_refuse_unlocked",
        search: "when baseledger._is_impossible_id(c.wallet_id) then 'LGARG'",
        replace: "",
      },
      {
        about: "what was refused before its wallet was locked has no detail",
        of: "_refuse_unlocked",
        search: "when c.refused is not null and c.detail is not null then c.detail",
        replace: "when c.refused is not null and c.detail is not null then null",
      },
    ],
  },
  {
    rule: "Each command names its wallet by a string",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "a number may name a wallet",
        of: "_read_commands",
        search: "or p_several and jsonb_typeof(v.command -> 'wallet_id') is distinct from 'string'",
        replace: "",
      },
      {
        about: "a wallet's name in a batch of one is ignored",
        of: "_read_commands",
        search: "case when p_several then b.fields",
        replace: "case when true then b.fields",
      },
      {
        about: "post_many takes the commands of operators",
        of: "_parse_several",
        search: "_read_commands(p_commands, false, true)",
        replace: "_read_commands(p_commands, true, true)",
        tests: ["post_many.sql", "test/security/agent-funds.test.ts"],
      },
    ],
  },
  {
    rule: "What a batch reads does not grow with what it does not name",
    tests: ["test/db/plans.test.ts"],
    mutants: [
      {
        about: "ended reservations are looked for in the whole table",
        of: "_delete_reservations",
        search:
          "set enable_indexscan = off set enable_indexonlyscan = off set enable_bitmapscan = off",
        replace: "",
      },
    ],
  },
];
