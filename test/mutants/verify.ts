// Mistakes in what proves the ledger: verify, and what the hash covers.
import type { Mutant } from "./mutant.ts";

const EVENTS = "_verify_events";
const WALLETS = "_verify_wallets";
const tests = ["verify.sql", "test/db/tamper.test.ts", "test/db/hash-chain.test.ts"];

export const proof: readonly Mutant[] = [
  {
    about: "verify does not see a cut tail",
    of: WALLETS,
    search: `    where (w.seq, w.available, w.reserved, w.spent, w.last_event_at, w.hash)
      is distinct from (e.seq, e.available, e.reserved, e.spent, e.occurred_at, e.hash)`,
    replace: "    where false",
    tests,
  },
  {
    about: "verify does not compare the head of the chain",
    of: WALLETS,
    search: `    where (w.seq, w.available, w.reserved, w.spent, w.last_event_at, w.hash)
      is distinct from (e.seq, e.available, e.reserved, e.spent, e.occurred_at, e.hash)`,
    replace: `    where (w.seq, w.available, w.reserved, w.spent, w.last_event_at)
      is distinct from (e.seq, e.available, e.reserved, e.spent, e.occurred_at)`,
    tests,
  },
  {
    about: "verify does not check hashes",
    of: EVENTS,
    search: "j.other_hash is null as hash_holds",
    replace: "true as hash_holds",
    tests,
  },
  {
    about: "verify does not chain the hashes",
    of: EVENTS,
    search: "pg_catalog.sha256(c.before_hash || baseledger._encode_event(",
    replace: "pg_catalog.sha256(''::bytea || baseledger._encode_event(",
    tests,
  },
  {
    about: "verify does not see a gap",
    of: EVENTS,
    search: "j.seq = j.before_seq + 1 as seq_holds",
    replace: "j.seq > j.before_seq as seq_holds",
    tests,
  },
  {
    about: "verify lets two events happen at once",
    of: EVENTS,
    search: "j.occurred_at > j.before_at as time_holds",
    replace: "j.occurred_at >= j.before_at as time_holds",
    tests,
  },
  {
    about: "verify does not look at available",
    of: EVENTS,
    search: "j.available_by is not distinct from m.available_due\n          and ",
    replace: "",
    tests,
  },
  {
    about: "verify does not look at the funds",
    of: EVENTS,
    search: "j.available >= 0 or j.available_by >= 0 or j.event = 'settled' as funds_hold",
    replace: "true as funds_hold",
    tests,
  },
  {
    about: "verify lets more be refunded than was settled",
    of: EVENTS,
    search: "when 'refunded' then j.refundable >= j.amount",
    replace: "when 'refunded' then true",
    tests,
  },
  {
    about: "verify lets a reservation be cancelled after its deadline",
    of: EVENTS,
    search: "when 'cancelled' then j.was_open and j.life_deadline > j.instant\n",
    replace: "when 'cancelled' then j.was_open\n",
    tests,
  },
  {
    about: "verify lets a settled reservation be settled again",
    of: EVENTS,
    search: "else j.was_open and j.life_deadline > j.instant\n                and j.final",
    replace: "else true\n                and j.final",
    tests,
  },
  {
    about: "verify does not compare open reservations",
    of: WALLETS,
    search: `    where (o.amount, coalesce(o.settled, 0), o.held, o.expires_at)
      is distinct from (r.amount::numeric, r.settled::numeric, r.held::numeric, r.expires_at)`,
    replace: "    where false",
    tests,
  },
  {
    about: "verify does not compare the sides of a transfer",
    of: WALLETS,
    search: "            and i.amount = t.amount\n",
    replace: "",
    tests,
  },
  {
    about: "verify does not look for the sender of a transfer",
    of: WALLETS,
    search: "and t.event = 'transferred_in'\n",
    replace: "and t.event = 'transferred_in' and false\n",
    tests,
  },
  {
    about: "verify does not see a deadline that the sweep would miss",
    of: WALLETS,
    search: "where coalesce(w.next_deadline > d.first, true)",
    replace: "where w.next_deadline > d.first",
    tests,
  },
  {
    about: "verify does not look for events without a wallet",
    of: WALLETS,
    search: "not exists (select from w where w.wallet_id = e.wallet_id)",
    replace: "false",
    tests,
  },
  {
    about: "verify of all ends with the first portion",
    of: "verify",
    search: "exit when v_last is null;",
    replace: "exit;",
    tests,
  },
  {
    about: "the hash does not cover who asked",
    of: "_encode_event",
    search: "pg_catalog.convert_to(p_actor, 'UTF8')",
    replace: "pg_catalog.convert_to('', 'UTF8')",
    tests,
  },
  {
    about: "the hash does not cover the metadata",
    of: "_encode_event",
    search: "pg_catalog.convert_to(p_metadata::text, 'UTF8')",
    replace: "pg_catalog.convert_to('{}', 'UTF8')",
    tests,
  },
  {
    about: "the hash depends on the client's encoding",
    of: "_encode_event",
    search: "pg_catalog.convert_to(p_metadata::text, 'UTF8')",
    replace: "p_metadata::text",
    tests,
  },
];
