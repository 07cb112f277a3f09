// A wallet's last event may lie ahead of the server's clock: deadlines count by the clock.
import type { Rule } from "./mutant.ts";

export const clock: readonly Rule[] = [
  {
    rule: "Commands count deadlines by the clock, wherever the wallet's time is",
    tests: ["wallets_ahead.sql"],
    mutants: [
      {
        about: "a reservation's deadline counts from the date of its event",
        of: "_execute",
        after: "when 'reserve' then v_amount := case",
        search: "coalesce(v_at - v_ahead, v_at)",
        replace: "v_at",
      },
      {
        about: "an extended deadline counts from the date of its event",
        of: "_execute",
        after: "when 'extend' then v_reserved := coalesce(",
        search: "coalesce(v_at - v_ahead, v_at)",
        replace: "v_at",
      },
      {
        about: "expiries count by the date of the event",
        of: "_execute",
        search: "coalesce((v_note ->> 'ahead_us')::bigint, 0)",
        replace: "0",
      },
      {
        about: "a refusal's time to retry counts by the date of the event",
        of: "_execute",
        after: "baseledger._describe_refusal(",
        search: "coalesce(v_at - v_ahead, v_at)",
        replace: "v_at",
      },
      {
        about: "deadlines count by the wallet's own time",
        of: "_describe_ahead",
        search: "p_at > p_clock + baseledger._clock_slack()",
        replace: "false",
      },
      {
        about: "a single command does not check how far it lies ahead",
        of: "_execute",
        search: "or v_at > clock_timestamp() + baseledger._clock_slack()",
        replace: "",
        tests: ["wallets_ahead.sql", "journal.sql"],
      },
      {
        about: "a retry is compared by the date of its event",
        of: "_execute",
        search: "baseledger._event_clock(v_earlier.occurred_at, v_earlier.details)",
        replace: "v_earlier.occurred_at",
      },
    ],
  },
  {
    rule: "An event records how far it lies ahead",
    tests: ["wallets_ahead.sql"],
    mutants: [
      {
        about: "an event does not record how far it lies ahead",
        of: "_execute",
        search:
          "v_ahead := coalesce((v_note ->> 'ahead_us')::bigint, 0) * interval '1 microsecond';",
        replace:
          "v_ahead := coalesce((v_note ->> 'ahead_us')::bigint, 0) * interval '1 microsecond'; v_note := null;",
      },
      {
        about: "an event that lies ahead loses its other details",
        of: "_execute",
        after: "v_move.event, p_wallet_id,",
        search: "v_move.details || v_note, v_note",
        replace: "v_note",
      },
    ],
  },
  {
    rule: "Reads count deadlines by the clock, wherever the wallet's time is",
    tests: ["wallets_ahead.sql"],
    mutants: [
      {
        about: "balance_at counts expiries by the date of their event",
        of: "balance_at",
        search: "baseledger._event_clock(e.occurred_at, e.details)",
        replace: "e.occurred_at",
      },
      {
        about: "wallet_balances counts by a last event that lies ahead",
        of: "wallet_balances",
        search: "then c.clock else",
        replace: "then w.last_event_at else",
        tests: ["wallet_balances.sql", "test/field/clock-ahead.test.ts"],
      },
      {
        about: "wallets_ahead names the wallet that is least ahead",
        of: "wallets_ahead",
        search: "order by w.last_event_at desc, w.wallet_id",
        replace: "order by w.last_event_at, w.wallet_id",
      },
      {
        about: "a balance counts by a last event that lies ahead",
        of: "_deadline_clock",
        search: "p_last_event_at > p_clock + baseledger._clock_slack()",
        replace: "false",
      },
      {
        about: "verify counts deadlines by the date of the event",
        of: "_verify_events",
        search: "baseledger._event_clock(l.occurred_at, l.details) as instant",
        replace: "l.occurred_at as instant",
      },
    ],
  },
  {
    rule: "A standby counts by what it has replayed",
    tests: ["test/field/standby.test.ts"],
    mutants: [
      {
        about: "a standby counts by its own clock",
        of: "_read_clock",
        search: "when pg_catalog.pg_is_in_recovery() then",
        replace: "when false then",
      },
    ],
  },
];
