// What is due in several wallets at once.
import type { Rule } from "./mutant.ts";

const sweeps = ["expire_due.sql", "test/concurrency/sweep.test.ts"];

export const due: readonly Rule[] = [
  {
    rule: "What is due in several wallets is found, up to the end of the call",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "a batch does not look for what is due in several wallets",
        of: "_find_due_several",
        search: "if c_asked > 0 and not exists (",
        replace: "if c_asked > 0 or not exists (",
      },
      {
        about: "a batch does not look whether anything comes due within the call",
        of: "_find_due_several",
        after: "select from unnest(p_locked) as w",
        search: "w.last_event_at) + c_span",
        replace: "w.last_event_at)",
      },
      {
        about: "what comes due within the call is not found",
        of: "_find_due_several",
        after: "where r.wallet_id = w.wallet_id",
        search: "w.last_event_at) + c_span",
        replace: "w.last_event_at)",
      },
      {
        about: "a wallet does not merge in what comes due within the call",
        of: "_find_due_several",
        after: "c_asked = 0",
        search: "w.last_event_at) + c_span",
        replace: "w.last_event_at)",
      },
      {
        about: "a batch looks whether anything is due by the clock, although an event is later",
        of: "_find_due_several",
        after: "select from unnest(p_locked) as w",
        search: "baseledger._deadline_clock(p_now, w.last_event_at)",
        replace: "p_now",
      },
      {
        about: "what is due in several wallets is found by the clock, although an event is later",
        of: "_find_due_several",
        after: "where r.wallet_id = w.wallet_id",
        search: "baseledger._deadline_clock(p_now, w.last_event_at)",
        replace: "p_now",
      },
      {
        about: "a wallet merges in what is due by the clock, although an event is later",
        of: "_find_due_several",
        after: "c_asked = 0",
        search: "baseledger._deadline_clock(p_now, w.last_event_at)",
        replace: "p_now",
      },
    ],
  },
  {
    rule: "What is due expires in its own wallet, earliest first",
    tests: ["post_many.sql", "expire_due.sql"],
    mutants: [
      {
        about: "of what is due in a wallet only the last one expires",
        of: "_find_due_several",
        search: "coalesce(v_firsts[v_places[v_i]], v_i)",
        replace: "v_i",
      },
      {
        about: "expiries begin with the last one of the wallet before",
        of: "_find_due_several",
        search: "coalesce(v_firsts[v_places[v_i]], v_i)",
        replace: "coalesce(v_firsts[v_places[v_i]], greatest(v_i - 1, 1))",
      },
      {
        about: "expiries end with the first one of the next wallet",
        of: "_find_due_several",
        search: "v_untils[v_places[v_i]] := v_i;",
        replace: "v_untils[v_places[v_i]] := v_i + 1;",
      },
      {
        about: "expiries are attached to the next wallet",
        of: "_find_due_several",
        search: "array_agg(d.place order by",
        replace: "array_agg(d.place % cardinality(p_locked) + 1 order by",
      },
      {
        about: "a wallet with nothing due takes the expiries of all",
        of: "_find_due_several",
        search: "coalesce(v_untils[w.ordinality], 0)",
        replace: "coalesce(v_untils[w.ordinality], cardinality(v_found))",
      },
      {
        about: "each wallet merges in the expiries of the first one",
        of: "_execute",
        search: "v_next_due := v_wallet.first_due;",
        replace: "v_next_due := v_asked + 1;",
      },
      {
        about: "a wallet merges in the expiries of those after it",
        of: "_execute",
        search: "v_until_due := v_wallet.until_due;",
        replace: "v_until_due := cardinality(p_commands);",
      },
      {
        about: "a refused wallet drops the expiries of those before it",
        of: "_execute",
        search: "v_first_due := v_wallet.first_due;",
        replace: "v_first_due := v_asked + 1;",
      },
      {
        about: "expiries of several wallets come in the order of their reservations' ids",
        of: "_find_due_several",
        search: "::baseledger._hold order by d.place, d.expires_at, d.reservation_id",
        replace: "::baseledger._hold order by d.place, d.reservation_id",
      },
      {
        about: "expiries of several wallets come in no order of wallets",
        of: "_find_due_several",
        search: "::baseledger._hold order by d.place, d.expires_at, d.reservation_id",
        replace: "::baseledger._hold order by d.expires_at, d.reservation_id",
      },
    ],
  },
  {
    rule: "Commands and expiries of a reservation share what is known of it",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "expiries of several wallets do not know which commands name them",
        of: "_find_due_several",
        search: "if c_asked > 0 and v_found is not null then",
        replace: "if false then",
      },
      {
        about: "an expiry is linked to a command of another wallet",
        of: "_link_due",
        search: "on c.wallet_id = d.wallet_id and c.reservation_id",
        replace: "on c.reservation_id",
      },
      {
        about: "commands count as those of the first wallet when expiries are linked",
        of: "_link_due",
        search: "select p_wallet_ids[u.ordinality] as wallet_id",
        replace: "select p_wallet_ids[1] as wallet_id",
      },
      {
        about: "expiries count as those of the first wallet when they are linked",
        of: "_link_due",
        search: "p_locked[p_places[h.ordinality]].wallet_id",
        replace: "p_locked[1].wallet_id",
      },
      {
        about: "an expiry is linked to the last command that names it",
        of: "_link_due",
        search: "min(u.ordinality)::integer as position",
        replace: "max(u.ordinality)::integer as position",
      },
      {
        about: "links come in the order of the commands, not of the expiries",
        of: "_link_due",
        search: "array_agg(c.position order by d.ordinality)",
        replace: "array_agg(c.position order by c.position)",
      },
    ],
  },
  {
    rule: "The sweep of several wallets expires no more than its limit",
    tests: sweeps,
    mutants: [
      {
        about: "the sweep of several wallets has a limit for each of them only",
        of: "_find_due_several",
        search: "limit p_limit",
        replace: "",
      },
      {
        about: "the sweep of several wallets expires the last ones first",
        of: "_find_due_several",
        search: "from unnest(p_locked) with ordinality as w cross join lateral (",
        replace:
          "from (select * from unnest(p_locked) with ordinality as u order by u.ordinality desc) as w cross join lateral (",
      },
    ],
  },
  {
    rule: "A wallet in which more is due than one command expires is busy",
    tests: ["post_many.sql"],
    mutants: [
      {
        about: "of a backlog no more is found than one command expires",
        of: "_find_due_several",
        search: "limit c_limit + 1",
        replace: "limit c_limit",
      },
      {
        about: "a backlog in one of several wallets is not noticed",
        of: "_find_due_several",
        search: ">= baseledger._due_chunk_size()",
        replace: "> baseledger._due_chunk_size()",
      },
      {
        about: "a wallet is busy although one command expires all that is due",
        of: "_find_due_several",
        search: ">= baseledger._due_chunk_size()",
        replace: "+ 1 >= baseledger._due_chunk_size()",
      },
      {
        about: "the sweep leaves out a wallet with a backlog",
        of: "_execute",
        search: "continue when v_wallet.has_more and v_asked > 0;",
        replace: "continue when v_wallet.has_more;",
        tests: sweeps,
      },
    ],
  },
];
