// Terms of a wallet, closing it, and looking up what became of a command.
import type { Rule } from "./mutant.ts";

export const terms: readonly Rule[] = [
  {
    rule: "A closed wallet takes nothing new, and finishes what was begun",
    tests: ["close_wallet.sql"],
    mutants: [
      {
        about: "a closed wallet reserves",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('credit', 'transfer_in')",
      },
      {
        about: "a closed wallet is credited",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('reserve', 'transfer_in')",
      },
      {
        about: "a closed wallet is transferred to",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('reserve', 'credit')",
      },
      {
        about: "a closed wallet is charged",
        of: "_execute",
        search:
          "or v_command.op = 'charge' and v_command.details -> 'already_spent' is null or v_command.op = 'extend'",
        replace: "or v_command.op = 'extend'",
      },
      {
        about: "a closed wallet refuses what was spent already",
        of: "_execute",
        search:
          "or v_command.op = 'charge' and v_command.details -> 'already_spent' is null or v_command.op = 'extend'",
        replace: "or v_command.op = 'charge' or v_command.op = 'extend'",
      },
      {
        about: "a closed wallet lets holds grow",
        of: "_execute",
        search: "or v_command.op = 'extend' and v_reserved > 0",
        replace: "",
      },
      {
        about: "a closed wallet refuses to extend",
        of: "_execute",
        search: "or v_command.op = 'extend' and v_reserved > 0",
        replace: "or v_command.op = 'extend'",
      },
      {
        about: "a closed wallet refuses settlements",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('reserve', 'credit', 'transfer_in', 'settle')",
      },
      {
        about: "a closed wallet refuses refunds",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('reserve', 'credit', 'transfer_in', 'refund')",
      },
      {
        about: "a closed wallet pays nothing out",
        of: "_execute",
        search: "v_command.op in ('reserve', 'credit', 'transfer_in')",
        replace: "v_command.op in ('reserve', 'credit', 'transfer_in', 'withdraw', 'transfer_out')",
      },
      {
        about: "a freeze is reported before the closing",
        of: "_execute",
        search: "v_command.refused in ('LGFRZ', 'LGNSF', 'LGOVF')",
        replace: "v_command.refused in ('LGNSF', 'LGOVF')",
      },
      {
        about: "a lack of funds is reported before the closing",
        of: "_execute",
        search: "v_command.refused in ('LGFRZ', 'LGNSF', 'LGOVF')",
        replace: "v_command.refused in ('LGFRZ', 'LGOVF')",
      },
      {
        about: "the closing is reported before an id that is taken",
        of: "_execute",
        search: "v_command.refused in ('LGFRZ', 'LGNSF', 'LGOVF')",
        replace: "v_command.refused in ('LGFRZ', 'LGNSF', 'LGOVF', 'LGRID')",
      },
      {
        about: "a closed wallet is locked like an open one",
        of: "_execute",
        search: "w.restricted or w.closed or p_priced",
        replace: "w.restricted or p_priced",
      },
      {
        about: "a closed wallet is used like an open one",
        of: "_execute",
        search: "v_careful := v_locked[1].closed;",
        replace: "",
      },
      {
        about: "a closed wallet is used like an open one, in a batch over several",
        of: "_execute",
        search: "v_careful := v_wallet.closed;",
        replace: "v_careful := false;",
      },
      {
        about: "the sweep forgets that a wallet is closed",
        of: "_find_due_several",
        search: "w.restricted, w.closed, w.limited",
        replace: "w.restricted, false, w.limited",
      },
      {
        about: "a closed wallet gets limits",
        of: "_refuse_closed",
        search:
          "if (select w.closed from baseledger.wallets w where w.wallet_id = p_wallet_id) then",
        replace: "if false then",
        tests: ["set_limit.sql", "set_low_balance.sql"],
      },
      {
        about: "a retry closes a wallet that was opened again",
        of: "close_wallet",
        search: "if not v_receipt.replayed then",
        replace: "if true then",
        tests: ["close_wallet.sql", "reopen_wallet.sql"],
      },
      {
        about: "a retry opens a wallet that was closed again",
        of: "reopen_wallet",
        search: "if not v_receipt.replayed then",
        replace: "if true then",
      },
      {
        about: "closing needs no reason",
        of: "_find_invalid_field",
        search: "p_op in ('freeze', 'unfreeze', 'closed', 'reopened')",
        replace: "p_op in ('freeze', 'unfreeze')",
      },
    ],
  },
  {
    rule: "The overdraft limit is not set below the debt",
    tests: ["set_overdraft_limit.sql"],
    mutants: [
      {
        about: "the overdraft limit is set below the debt",
        of: "set_overdraft_limit",
        search: "if v_available < -p_overdraft_limit then",
        replace: "if false then",
      },
      {
        about: "what is due counts as debt",
        of: "set_overdraft_limit",
        search:
          "v_receipt.available + baseledger._sum_backlog( p_wallet_id, baseledger._deadline_clock(clock_timestamp(), v_receipt.occurred_at) )",
        replace: "v_receipt.available",
        tests: ["set_overdraft_limit.sql", "test/concurrency/backlog.test.ts"],
      },
      {
        about: "a debt of just the overdraft limit is too much",
        of: "set_overdraft_limit",
        search:
          "if v_receipt.available < -p_overdraft_limit then v_available := v_receipt.available +",
        replace:
          "if v_receipt.available <= -p_overdraft_limit then v_available := v_receipt.available - 1 +",
      },
      {
        about: "a retry sets an overdraft limit again",
        of: "set_overdraft_limit",
        search: "if v_receipt.replayed then",
        replace: "if false then",
      },
      {
        about: "the overdraft limit is not changed",
        of: "set_overdraft_limit",
        search: "set overdraft_limit = p_overdraft_limit",
        replace: "set overdraft_limit = w.overdraft_limit",
      },
      {
        about: "the overdraft limit may be negative",
        of: "set_overdraft_limit",
        search: "if p_overdraft_limit < 0 then",
        replace: "if false then",
      },
    ],
  },
  {
    rule: "A wallet is opened again on its first terms",
    tests: ["open_wallet.sql"],
    mutants: [
      {
        about: "a restricted wallet is opened again as an open one",
        of: "open_wallet",
        search: "'{\"restricted\": false}'::jsonb || v_terms",
        replace:
          "jsonb_build_object('restricted', v_event.details @> '{\"restricted\": true}') || v_terms",
      },
      {
        about: "a wallet is not restricted from the start",
        of: "open_wallet",
        search: "p_wallet_id, p_unit, p_scale, p_overdraft_limit, p_restricted,",
        replace: "p_wallet_id, p_unit, p_scale, p_overdraft_limit, false,",
      },
      {
        about: "a wallet may be restricted or not",
        of: "open_wallet",
        search: "if p_restricted is null then",
        replace: "if false then",
      },
    ],
  },
  {
    rule: "What was spent already lands like a settlement",
    tests: ["charge.sql"],
    mutants: [
      {
        about: "what was spent already is refused by a freeze",
        of: "_execute",
        search:
          "then case when v_last.available + coalesce(v_rest, 0) < -v_wallet.overdraft_limit + v_command.amount",
        replace:
          "then case when v_wallet.frozen then 'LGFRZ' when v_last.available + coalesce(v_rest, 0) < -v_wallet.overdraft_limit + v_command.amount",
      },
      {
        about: "what was spent already goes below the overdraft limit",
        of: "_execute",
        search:
          "when v_last.available + coalesce(v_rest, 0) < -v_wallet.overdraft_limit + v_command.amount then 'LGOVD'",
        replace: "",
      },
      {
        about: "what was spent already must leave something of the overdraft limit",
        of: "_execute",
        search: "< -v_wallet.overdraft_limit + v_command.amount",
        replace: "<= -v_wallet.overdraft_limit + v_command.amount",
      },
      {
        about: "what was spent already needs funds",
        of: "_execute",
        search: "< -v_wallet.overdraft_limit + v_command.amount",
        replace: "< v_command.amount",
      },
      {
        about: "what was spent already waits for the backlog",
        of: "_execute",
        search:
          "v_last.available + coalesce(v_rest, 0) < -v_wallet.overdraft_limit + v_command.amount",
        replace: "v_last.available < -v_wallet.overdraft_limit + v_command.amount",
      },
      {
        about: "what was spent already gets nothing of the backlog",
        of: "_required_funds",
        search: "then p_command.amount - p_overdraft_limit when",
        replace: "then null when",
      },
      {
        about: "spent goes above the largest amount by what was spent already",
        of: "_execute",
        search:
          "when v_last.available < -9223372036854775807 + v_command.amount or v_last.spent > 9223372036854775807 - v_command.amount then 'LGOVF'",
        replace: "when v_last.available < -9223372036854775807 + v_command.amount then 'LGOVF'",
      },
      {
        about: "the event does not say what was spent already",
        of: "charge",
        after: "p_metadata => p_metadata,",
        search: "when p_already_spent then",
        replace: "when false then",
      },
      {
        about: "a retry of what was spent already is refused",
        of: "_request_from_event",
        search: "'already_spent', p_details -> 'already_spent',",
        replace: "",
      },
      {
        about: "verify takes any charge for one that was spent already",
        of: "_verify_events",
        search:
          "or j.event = 'charged' and coalesce(j.details @> '{\"already_spent\": true}', false)",
        replace: "or j.event = 'charged'",
        tests: ["test/db/tamper.test.ts"],
      },
      {
        about: "verify objects to what was spent already",
        of: "_verify_events",
        search:
          "or j.event = 'charged' and coalesce(j.details @> '{\"already_spent\": true}', false)",
        replace: "",
      },
    ],
  },
  {
    rule: "A reservation can be looked up",
    tests: ["reservation.sql"],
    mutants: [
      {
        about: "what is due is open",
        of: "reservation",
        search: "when r.expires_at > v_instant then 'open'",
        replace: "when r.expires_at is not null then 'open'",
      },
      {
        about: "a reservation is due after its deadline",
        of: "reservation",
        search: "when r.expires_at > v_instant then 'open'",
        replace: "when r.expires_at >= v_instant then 'open'",
      },
      {
        about: "a part that is settled late ends it",
        of: "reservation",
        search: "or e.event = 'settled' and e.details @> '{\"late\": true, \"final\": false}'",
        replace: "",
      },
      {
        about: "a refund ends it",
        of: "reservation",
        search: "max(l.seq) filter (where l.event <> 'refunded') as last_seq",
        replace: "max(l.seq) as last_seq",
      },
      {
        about: "what it was granted leaves out extensions",
        of: "reservation",
        search: "('reserved', 'extended', 'charged')",
        replace: "('reserved', 'charged')",
      },
      {
        about: "what it has settled leaves out charges",
        of: "reservation",
        search: "('settled', 'charged')",
        replace: "('settled')",
      },
      {
        about: "it does not say that it was settled late",
        of: "reservation",
        search: "coalesce(bool_or(l.details @> '{\"late\": true}'), false) as late",
        replace: "false as late",
      },
      {
        about: "its labels are its metadata",
        of: "reservation",
        search: "baseledger._labels(o.details, o.metadata)",
        replace: "o.metadata",
        tests: ["restricted.sql"],
      },
      {
        about: "what it was held counts when it has ended",
        of: "reservation",
        search: "case when v_end.status = 'open' then v_end.held else 0 end",
        replace: "coalesce(v_end.held, 0)",
      },
    ],
  },
  {
    rule: "A receipt can be looked up",
    tests: ["receipt.sql"],
    mutants: [
      {
        about: "a receipt that is looked up is a first one",
        of: "receipt",
        search: "v_event.idempotency_key, true, null, null",
        replace: "v_event.idempotency_key, false, null, null",
      },
    ],
  },
  {
    rule: "Wallets are listed by id, closed ones only if asked for",
    tests: ["list_wallets.sql"],
    mutants: [
      {
        about: "closed wallets are listed",
        of: "list_wallets",
        search: "and (p_closed is null or b.closed = p_closed)",
        replace: "",
      },
      {
        about: "the last wallet of a page is listed again",
        of: "list_wallets",
        search: "b.wallet_id > p_after",
        replace: "b.wallet_id >= p_after",
      },
      {
        about: "a prefix is a pattern",
        of: "list_wallets",
        search: "b.wallet_id ^@ coalesce(p_prefix, '')",
        replace: "b.wallet_id like coalesce(p_prefix, '') || '%'",
      },
      {
        about: "all units are listed",
        of: "list_wallets",
        search: "and (p_unit is null or b.unit = p_unit)",
        replace: "",
      },
      {
        about: "frozen wallets are listed with the others",
        of: "list_wallets",
        search: "and (p_frozen is null or b.frozen = p_frozen)",
        replace: "",
      },
    ],
  },
  {
    rule: "verify compares terms, grants and keys with the events",
    tests: ["test/db/tamper.test.ts"],
    mutants: [
      {
        about: "verify does not compare terms",
        of: "_verify_terms",
        search: "where x.terms is distinct from f.terms",
        replace: "where false",
      },
      {
        about: "verify does not compare who is closed",
        of: "_verify_terms",
        search: "where w.closed is distinct from x.closed",
        replace: "where false",
      },
      {
        about: "verify does not compare who is restricted",
        of: "_verify_terms",
        search: "where w.restricted is distinct from x.restricted",
        replace: "where false",
      },
      {
        about: "verify does not compare grants",
        of: "_verify_terms",
        search: "where (r.wallet_id, r.labels, r.free_labels, r.occurred_at)",
        replace: "where false and (r.wallet_id, r.labels, r.free_labels, r.occurred_at)",
      },
      {
        about: "verify does not compare keys",
        of: "_verify_terms",
        search: "where ( m.wallet_id, m.labels,",
        replace: "where false and ( m.wallet_id, m.labels,",
      },
      {
        about: "verify does not miss a grant",
        of: "_verify_terms",
        search: "from roles r full join (",
        replace: "from roles r right join (",
      },
      {
        about: "verify does not find a grant that nobody gave",
        of: "_verify_terms",
        search: "from roles r full join (",
        replace: "from roles r left join (",
      },
      {
        about: "verify does not miss a key",
        of: "_verify_terms",
        search: "from made m full join (",
        replace: "from made m right join (",
      },
      {
        about: "verify does not find a key that nobody made",
        of: "_verify_terms",
        search: "from made m full join (",
        replace: "from made m left join (",
      },
      {
        about: "verify takes the first word on an overdraft limit",
        of: "_verify_terms",
        search: "order by c.seq desc ) filter (where c.event = 'overdraft_limit_set'))[1] as terms",
        replace: "order by c.seq ) filter (where c.event = 'overdraft_limit_set'))[1] as terms",
        tests: ["set_overdraft_limit.sql"],
      },
      {
        about: "verify leaves out terms of one wallet",
        of: "verify",
        search: "return query select * from baseledger._verify_terms(p_wallet_id, p_wallet_id);",
        replace: "",
      },
      {
        about: "verify leaves out terms of all wallets",
        of: "verify",
        search: "return query select * from baseledger._verify_terms(v_first, v_last);",
        replace: "",
      },
    ],
  },
];
