// What proves the ledger: verify, and what the hash covers.
import type { Rule } from "./mutant.ts";

export const verify: readonly Rule[] = [
  {
    rule: "The chain of each wallet is whole",
    tests: ["verify.sql", "test/db/tamper.test.ts", "test/db/hash-chain.test.ts"],
    mutants: [
      {
        about: "verify does not check hashes",
        of: "_verify_events",
        search: "j.other_hash is null",
        replace: "true",
      },
      {
        about: "verify does not chain the hashes",
        of: "_verify_events",
        search: "sha256(c.before_hash ||",
        replace: "sha256(''::bytea ||",
      },
      {
        about: "verify does not see a gap",
        of: "_verify_events",
        search: "j.seq = j.before_seq + 1",
        replace: "j.seq > j.before_seq",
      },
      {
        about: "verify lets two events have the same time",
        of: "_verify_events",
        search: "j.occurred_at > j.before_at",
        replace: "j.occurred_at >= j.before_at",
      },
    ],
  },
  {
    rule: "Each event moves what it may, when it may",
    tests: ["verify.sql", "test/db/tamper.test.ts", "test/db/hash-chain.test.ts"],
    mutants: [
      {
        about: "verify does not check available",
        of: "_verify_events",
        search: "j.available_by is not distinct from m.available_due and",
        replace: "",
      },
      {
        about: "verify does not check that funds were there",
        of: "_verify_events",
        search: "j.available >= 0 or j.available_by >= 0",
        replace: "true",
      },
      {
        about: "verify lets more be refunded than was settled",
        of: "_verify_events",
        search: "when 'refunded' then j.refundable >= j.amount",
        replace: "when 'refunded' then true",
      },
      {
        about: "verify lets a reservation be cancelled after its deadline",
        of: "_verify_events",
        after: "when 'cancelled' then j.was_open",
        search: "and j.life_deadline > j.instant",
        replace: "",
      },
      {
        about: "verify lets a settled reservation be settled again",
        of: "_verify_events",
        search: "else j.was_open and j.life_deadline > j.instant",
        replace: "else true",
      },
    ],
  },
  {
    rule: "Wallets and reservations are what their events say",
    tests: ["verify.sql", "test/db/tamper.test.ts", "test/db/hash-chain.test.ts"],
    mutants: [
      {
        about: "verify takes an expired reservation for an open one",
        of: "_leaves_open",
        search: "and p_event <> 'expired'",
        replace: "",
      },
      {
        about: "verify does not see a cut tail",
        of: "_verify_wallets",
        search: "where (w.seq,",
        replace: "where false and (w.seq,",
      },
      {
        about: "verify does not compare the head of the chain",
        of: "_verify_wallets",
        search: "w.last_event_at, w.hash)",
        replace: "w.last_event_at, e.hash)",
      },
      {
        about: "verify does not compare open reservations",
        of: "_verify_wallets",
        search: "where (o.amount,",
        replace: "where false and (o.amount,",
      },
      {
        about: "verify does not compare the two sides of a transfer",
        of: "_verify_wallets",
        search: "and i.amount = t.amount",
        replace: "",
      },
      {
        about: "verify does not look for the sender of a transfer",
        of: "_verify_wallets",
        search: "and t.event = 'transferred_in'",
        replace: "and false",
      },
      {
        about: "verify does not see a deadline that the sweep would miss",
        of: "_verify_wallets",
        search: "where coalesce(w.next_deadline > d.first, true)",
        replace: "where w.next_deadline > d.first",
      },
      {
        about: "verify does not look for events without a wallet",
        of: "_verify_wallets",
        search: "not exists (select from w where w.wallet_id = e.wallet_id)",
        replace: "false",
      },
      {
        about: "verify of all wallets ends with the first portion",
        of: "verify",
        search: "exit when v_last is null;",
        replace: "exit;",
      },
    ],
  },
  {
    rule: "The hash covers all of an event",
    tests: ["verify.sql", "test/db/tamper.test.ts", "test/db/hash-chain.test.ts"],
    mutants: [
      {
        about: "the hash does not cover the actor",
        of: "_encode_event",
        search: "pg_catalog.convert_to(p_actor, 'UTF8')",
        replace: "pg_catalog.convert_to('', 'UTF8')",
      },
      {
        about: "the hash does not cover the metadata",
        of: "_encode_event",
        search: "pg_catalog.convert_to(p_metadata::text, 'UTF8')",
        replace: "pg_catalog.convert_to('{}', 'UTF8')",
      },
      {
        about: "the hash depends on the client's encoding",
        of: "_encode_event",
        search: "pg_catalog.convert_to(p_metadata::text, 'UTF8')",
        replace: "p_metadata::text",
      },
    ],
  },
];
