import type postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFullJournal } from "../support/full-journal.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  digest,
  expectRefusal,
  rehash,
  type TestLedger,
  withoutTriggers,
} from "../support/ledger.ts";

let ledger: TestLedger;
let before: string;

beforeAll(async () => {
  ledger = await createFullJournal();
  await checkInvariants(ledger);
  before = await digest(ledger);
});
afterAll(async () => {
  expect(await digest(ledger)).toBe(before);
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

const undo = new Error("rolled back on purpose");

/** What verify finds after a change without triggers: wallet, event and check. Rolls it back. */
async function found(
  change: string | ((tx: postgres.TransactionSql) => Promise<unknown>),
  walletId?: string,
): Promise<string[]> {
  const discrepancies: string[] = [];
  const attempt = withoutTriggers(ledger.admin, async (tx) => {
    if (typeof change === "string") {
      // A statement that changes nothing would prove nothing.
      for (const statement of change.split(";")) {
        expect((await tx.unsafe(statement)).count).toBeGreaterThan(0);
      }
    } else await change(tx);
    const rows = await tx<{ wallet_id: string; seq: bigint | null; check: string }[]>`
      select * from baseledger.verify(${walletId ?? null})`;
    discrepancies.push(
      ...rows.map(({ wallet_id, seq, check }) => `${wallet_id} ${seq ?? "-"} ${check}`).sort(),
    );
    throw undo;
  });
  await expect(attempt).rejects.toBe(undo);
  return discrepancies;
}

/** The number of the event with a key in wallet `a`. */
async function seqOf(key: string): Promise<bigint> {
  const [row] = await ledger.admin<{ seq: bigint }[]>`
    select seq from baseledger.events where wallet_id = 'a' and idempotency_key = ${key}`;
  return row?.seq ?? 0n;
}

const events = "baseledger.events";
const ofA = "wallet_id = 'a'";
/** Deletes who may use the wallet, and its limits. */
const withoutTerms = ["grants", "keys", "limits", "counters"]
  .map((table) => `delete from baseledger.${table} where ${ofA}`)
  .join(";");
const last = `(select max(seq) from ${events} where ${ofA})`;

/** Increments the number of all events from a given one. */
async function renumber(tx: postgres.TransactionSql, from: bigint): Promise<void> {
  await tx.unsafe(`update ${events} set seq = seq + 1000 where ${ofA} and seq >= ${from}`);
  await tx.unsafe(`update ${events} set seq = seq - 999 where ${ofA} and seq > 1000`);
}

test("the journal has every kind of event, and verify finds nothing", async () => {
  const [row] = await ledger.admin<{ missing: string | null }[]>`
    select string_agg(v::text, ', ') as missing
      from unnest(enum_range(null::baseledger.event_type)) v
      where v not in (select event from baseledger.events where wallet_id = 'a')`;
  expect(row?.missing).toBeNull();
  expect(await found(async () => undefined)).toEqual([]);
  expect(await found(async () => undefined, "a")).toEqual([]);
});

describe("an edited event", () => {
  const edits: [string, string][] = [
    ["amount", "amount + 1"],
    ["available", "available + 1"],
    ["reserved", "reserved + 1"],
    ["spent", "spent + 1"],
    ["occurred_at", "occurred_at + interval '1 microsecond'"],
    ["expires_at", "coalesce(expires_at, occurred_at) + interval '1 microsecond'"],
    ["event", "case event when 'opened' then 'frozen' else 'opened' end::baseledger.event_type"],
    ["reservation_id", "coalesce(reservation_id, '') || 'x'"],
    ["idempotency_key", "coalesce(idempotency_key, '') || 'x'"],
    ["actor", "actor || 'x'"],
    ["metadata", `metadata || '{"x": 1}'`],
    ["details", `coalesce(details, '{}') || '{"x": 1}'`],
    ["hash", "sha256(hash)"],
  ];

  test.each(edits)(
    "is found when its %s is changed, whichever event it is",
    async (column, value) => {
      const [row] = await ledger.admin<{ seq: bigint }[]>`
      select max(seq) as seq from baseledger.events where wallet_id = 'a'`;
      for (let seq = 1n; seq <= (row?.seq ?? 0n); seq++) {
        const change = `update ${events} set ${column} = ${value} where ${ofA} and seq = ${seq}`;
        const changes = await ledger.admin.unsafe<{ differs: boolean }[]>(
          `select (${value}) is distinct from ${column} as differs
          from ${events} where ${ofA} and seq = ${seq}`,
        );
        if (!changes[0]?.differs) continue;
        // An edit is found at its event, an edit of the hash also at the next one.
        expect(await found(change)).toContain(`a ${seq} hash`);
        expect(await found(change, "a")).toContain(`a ${seq} hash`);
      }
    },
  );

  test("is found when a value is changed to null", async () => {
    for (const column of ["expires_at", "reservation_id", "idempotency_key", "details"]) {
      const [row] = await ledger.admin<{ seq: bigint }[]>`
        select min(seq) as seq from baseledger.events
          where wallet_id = 'a' and ${ledger.admin(column)} is not null`;
      const change = `update ${events} set ${column} = null where ${ofA} and seq = ${row?.seq}`;
      expect(await found(change)).toContain(`a ${row?.seq} hash`);
    }
  });

  test("is found when its metadata is changed to an equal value", async () => {
    const change = `update ${events} set metadata = '{"a": 1.0}' where ${ofA} and seq = 1`;
    expect(await found(change)).toEqual(["a 1 hash"]);
  });
});

describe("with the chain recomputed, an edit is found by what it contradicts", () => {
  /** Edits, and then recomputes all hashes, and the head in the wallet's row. */
  const forged = (change: string) => async (tx: postgres.TransactionSql) => {
    expect((await tx.unsafe(change)).count).toBeGreaterThan(0);
    await rehash(tx, "a");
  };
  const set = (values: string, key: string) =>
    forged(`update ${events} set ${values} where ${ofA} and idempotency_key = '${key}'`);

  test.each([
    ["a credit that was larger", "amount = amount + 1", "funds", "balances"],
    ["a settlement that was smaller", "amount = amount - 1", "s2", "balances"],
    ["a reservation that was smaller", "amount = amount - 1", "r1", "balances"],
    ["more available than there was", "available = available + 1", "s1", "balances"],
    ["less reserved than there was", "reserved = reserved - 1", "open", "balances"],
    ["less spent than there was", "spent = spent - 1", "s1", "balances"],
    ["a settlement of another reservation", "reservation_id = 'r2'", "s2", "reservation"],
    ["a cancellation of none", "reservation_id = 'none'", "c2", "reservation"],
    ["a credit of a reservation", "reservation_id = 'r1'", "last", "reservation"],
    ["a deadline before the reservation", "expires_at = occurred_at", "r1", "reservation"],
    ["a late settlement that was in time", `details = '{"late": true}'`, "s2", "reservation"],
    ["a refund of more than was settled", "amount = 500", "rf", "reservation"],
    ["a cancellation after the deadline", "occurred_at = 'infinity'", "c2", "reservation"],
    ["an earlier time", "occurred_at = 'epoch'", "w", "time"],
    ["the time of the one before", "occurred_at = '-infinity'", "funds", "time"],
    ["a refund that was a credit", "event = 'credited'", "rf", "reservation"],
    ["a charge that was a credit", "event = 'credited'", "ch", "balances"],
  ])("%s", async (_what, values, key, check) => {
    expect(await found(set(values, key))).toContain(`a ${await seqOf(key)} ${check}`);
  });

  test("a charge that was not spent already", async () => {
    const unsaid = async (tx: postgres.TransactionSql) => {
      await tx`select baseledger.charge('c', 1010, 'k', p_already_spent => true)`;
      expect(await tx`select * from baseledger.verify()`).toHaveLength(0);
      await tx`update baseledger.events set details = null where wallet_id = 'c' and seq = 3`;
      await rehash(tx, "c");
    };
    expect(await found(unsaid)).toEqual(["c 3 funds"]);
  });

  test.each([
    ["terms", "overdraft_limit_set", `details = '{"overdraft_limit": 401}'`],
    ["terms", "overdraft_limit_set", "details = '{}'"],
    ["terms", "opened", `details = details || '{"unit": "EUR"}'`],
    ["closed", "reopened", "event = 'closed'"],
    ["grant", "allowed", `details = details || '{"labels": {}}'`],
    ["grant", "allowed", `details = details || '{"free_labels": ["run", "user"]}'`],
    ["grant", "allowed", `details = details || '{"role": "somebody"}'`],
    ["grant", "allowed", "event = 'disallowed'"],
    ["grant", "disallowed", "event = 'allowed', details = details || '{\"labels\": {}}'"],
    ["key", "key_created", `details = details || '{"labels": {"user": "bob"}}'`],
    ["key", "key_created", `details = details || '{"free_labels": ["*"]}'`],
    ["key", "key_created", `details = details || '{"expires_at": "2101-01-01T00:00:00+00:00"}'`],
    ["key", "key_created", `details = details || '{"expires_at": "never"}'`],
    ["key", "key_created", `details = details || '{"secret_sha256": "00"}'`],
    ["key", "key_created", `details = details || '{"key_id": "key_0"}'`],
    ["key", "key_revoked", `details = '{"key_id": "key_0"}'`],
  ])("%s: a change %s, to %s", async (check, event, values) => {
    const discrepancies = await found(
      forged(`update ${events} set ${values} where ${ofA} and event = '${event}'`),
    );
    expect(discrepancies.map((each) => each.replace(/^a [-\d]+ /, ""))).toContain(check);
    expect(discrepancies.filter((each) => !each.startsWith("a "))).toEqual([]);
  });

  test("a wallet that was never restricted", async () => {
    const open = `update ${events} set event = 'frozen'
      where ${ofA} and event in ('allowed', 'disallowed', 'key_created', 'key_revoked')`;
    const discrepancies = await found(forged(open));
    expect(discrepancies).toContain("a 1 restricted");
  });

  test("a gap in the numbers", async () => {
    const from = await seqOf("ch");
    const gap = async (tx: postgres.TransactionSql) => {
      await renumber(tx, from);
      await tx.unsafe(`update baseledger.wallets set seq = seq + 1 where ${ofA}`);
    };
    expect(await found(gap)).toContain(`a ${from + 1n} seq`);
  });

  test("a charge above the funds", async () => {
    // Of 1000, 1010 are charged, and the balances add up.
    const id = "c";
    const overdrawn = async (tx: postgres.TransactionSql) => {
      await tx`select baseledger.charge(${id}, 1000, 'k')`;
      await tx`
        update baseledger.events set amount = 1010, available = -10, spent = 1010
          where wallet_id = ${id} and seq = 3`;
      await tx`update baseledger.wallets set available = -10, spent = 1010 where wallet_id = ${id}`;
      await rehash(tx, id);
    };
    expect(await found(overdrawn)).toEqual(["c 3 funds"]);
  });
});

describe("a deletion is found:", () => {
  test("the first event", async () => {
    expect(await found(`delete from ${events} where ${ofA} and seq = 1`)).toEqual(
      expect.arrayContaining(["a 2 seq", "a 2 hash"]),
    );
  });

  test("any event in the middle", async () => {
    for (let seq = 2n; seq < (await seqOf("last")); seq++) {
      const discrepancies = await found(`delete from ${events} where ${ofA} and seq = ${seq}`);
      expect(discrepancies).toEqual(
        expect.arrayContaining([`a ${seq + 1n} seq`, `a ${seq + 1n} hash`]),
      );
    }
  });

  test("the last event", async () => {
    const discrepancies = await found(`delete from ${events} where ${ofA} and seq = ${last}`);
    expect(discrepancies).toEqual([`a ${await seqOf("last")} wallet`]);
  });

  test("all events of a wallet", async () => {
    expect(await found(`delete from ${events} where ${ofA}`)).toEqual(
      expect.arrayContaining([`a ${await seqOf("last")} wallet`, "a 1 terms"]),
    );
  });

  test("a wallet with its events and reservations, by the other side of its transfers", async () => {
    const change = `delete from ${events} where ${ofA};
      delete from baseledger.wallets where ${ofA};
      delete from baseledger.reservations where ${ofA};
      ${withoutTerms}`;
    expect(await found(change)).toEqual(["b 3 transfer", "b 4 transfer"]);
  });
});

describe("a cut tail is found:", () => {
  const cut = (from: string) => `delete from ${events} where ${ofA} and seq > ${from}`;

  test("by the wallet's row", async () => {
    for (let seq = 0n; seq < (await seqOf("last")); seq++) {
      expect(await found(cut(`${seq}`))).toContain(`a ${await seqOf("last")} wallet`);
    }
  });

  /** The row of the wallet as the end of the journal has it. */
  const adjust = `update baseledger.wallets w
    set (seq, available, reserved, spent, hash, last_event_at) = (
      select seq, available, reserved, spent, hash, occurred_at from ${events}
        where ${ofA} order by seq desc limit 1)
    where ${ofA}`;

  test("by the open reservations, if the wallet's row is adjusted", async () => {
    const discrepancies = await found(`${cut(`${(await seqOf("open")) - 1n}`)}; ${adjust}`);
    expect(discrepancies).toEqual(
      expect.arrayContaining(["a - open reservation", `a ${(await seqOf("open")) - 1n} reserved`]),
    );
  });

  test("by the transfers, if the row and the reservations are adjusted", async () => {
    const change = `${cut("2")}; ${adjust}; delete from baseledger.reservations where ${ofA};
      ${withoutTerms};
      update baseledger.wallets
        set overdraft_limit = 500, restricted = false, limited = false, low_balances = null,
          below = null
        where ${ofA}`;
    expect(await found(change)).toEqual(["b 3 transfer", "b 4 transfer"]);
  });

  test("only by a head of the chain that is kept elsewhere, if everything is adjusted", async () => {
    // Nothing in the database can find this: the journal is as if it had ended there. A head that was
    // kept elsewhere finds it, as it has to be in the journal for ever.
    const [head] = await ledger.auditor<{ seq: bigint; hash: string }[]>`
      select seq, encode(hash, 'hex') as hash from baseledger.journal
        where wallet_id = 'a' order by seq desc limit 1`;
    const stillThere = async (tx: postgres.Sql | postgres.TransactionSql) => {
      const rows = await (tx as postgres.Sql)`
        select from baseledger.journal
          where wallet_id = 'a' and seq = ${`${head?.seq}`}::text::bigint
            and hash = decode(${head?.hash ?? ""}, 'hex')`;
      return rows.length === 1;
    };
    expect(await stillThere(ledger.auditor)).toBe(true);
    const change = async (tx: postgres.TransactionSql) => {
      await tx.unsafe(cut(`${(await seqOf("last")) - 1n}`));
      await tx.unsafe(adjust);
      expect(await stillThere(tx)).toBe(false);
    };
    expect(await found(change)).toEqual([]);
  });
});

describe("an inserted event is found:", () => {
  const copy = (from: string, values: string) => `
    insert into ${events} select ${values} from ${events} where ${ofA} and seq = ${from}`;
  const columns = (seq: string, key: string) => `${seq}, amount, available + amount, reserved,
    spent, occurred_at, expires_at, event, wallet_id, reservation_id, '${key}', actor, metadata,
    details, hash`;

  test("at the end", async () => {
    const discrepancies = await found(copy(last, columns("seq + 1", "gift")));
    const next = (await seqOf("last")) + 1n;
    expect(discrepancies).toEqual(
      expect.arrayContaining([`a ${next} hash`, `a ${next} time`, `a ${next - 1n} wallet`]),
    );
  });

  test("at the end with its hash and the wallet's row forged, by its time", async () => {
    const gift = async (tx: postgres.TransactionSql) => {
      await tx.unsafe(copy(last, columns("seq + 1", "gift")));
      await tx.unsafe(`update baseledger.wallets set seq = seq + 1, available = available + 1
        where ${ofA}`);
      await rehash(tx, "a");
    };
    expect(await found(gift)).toEqual([`a ${(await seqOf("last")) + 1n} time`]);
  });

  test("in the middle, with the rest renumbered", async () => {
    const at = await seqOf("ch");
    const insert = async (tx: postgres.TransactionSql) => {
      await renumber(tx, at);
      await tx.unsafe(copy("2", columns(`${at}`, "gift")));
    };
    expect(await found(insert)).toEqual(
      expect.arrayContaining([`a ${at} hash`, `a ${at} balances`, `a ${at + 1n} hash`]),
    );
  });

  test("of an unknown wallet", async () => {
    for (const id of ["", "aa", "zz"]) {
      const orphan = copy("2", columns("1", "k").replace("wallet_id", `'${id}'`));
      expect(await found(orphan)).toContain(`${id} 1 orphan`);
    }
  });
});

describe("a reordering is found:", () => {
  const swap =
    (x: bigint, y: bigint, values = "seq") =>
    async (tx: postgres.TransactionSql) => {
      const rows = await tx.unsafe(`
      create temp table swapped on commit drop as
        select * from ${events} where ${ofA} and seq in (${x}, ${y})`);
      expect(rows.count).toBe(2);
      await tx.unsafe(`delete from ${events} where ${ofA} and seq in (${x}, ${y})`);
      await tx.unsafe(`update swapped set seq = ${x} + ${y} - seq`);
      if (values === "hashes stay") {
        await tx.unsafe(`update swapped s set hash = o.hash, occurred_at = o.occurred_at
        from swapped o where o.seq = ${x} + ${y} - s.seq`);
      }
      await tx.unsafe(`insert into ${events} select * from swapped`);
    };

  test("of two neighbours", async () => {
    const seq = await seqOf("r1");
    expect(await found(swap(seq, seq + 1n))).toEqual(
      expect.arrayContaining([`a ${seq} hash`, `a ${seq + 1n} hash`, `a ${seq + 1n} time`]),
    );
  });

  test("of two distant events that keep the times and hashes of their places", async () => {
    const [x, y] = [await seqOf("funds"), await seqOf("last")];
    expect(await found(swap(x, y, "hashes stay"))).toEqual(
      expect.arrayContaining([`a ${x} hash`, `a ${y} hash`]),
    );
  });
});

describe("an event moved to another wallet is found:", () => {
  test("from the end of one to the end of the other", async () => {
    const seq = await seqOf("last");
    const move = `update ${events} set wallet_id = 'c', seq = 3 where ${ofA} and seq = ${seq}`;
    const discrepancies = await found(move);
    expect(discrepancies).toEqual(
      expect.arrayContaining([`a ${seq} wallet`, "c 3 hash", "c 2 wallet"]),
    );
  });

  test("all events of a wallet with the same history, as the hash includes the wallet's id", async () => {
    // Both wallets were opened and funded alike.
    const swap = `update ${events} set wallet_id = 'x' where wallet_id = 'c';
      update ${events} set wallet_id = 'c' where wallet_id = 'b' and seq <= 2;
      update ${events} set wallet_id = 'b' where wallet_id = 'x'`;
    expect(await found(swap)).toEqual(expect.arrayContaining(["b 1 hash", "c 1 hash"]));
  });
});

describe("an edit of one side of a transfer is found:", () => {
  const side = (where: string, id: string) => async (tx: postgres.TransactionSql) => {
    expect((await tx.unsafe(`update ${events} set ${where}`)).count).toBe(1);
    await rehash(tx, id);
  };

  test("another amount", async () => {
    const change = "amount = amount + 1 where wallet_id = 'b' and event = 'transferred_in'";
    expect(await found(side(change, "b"))).toEqual(
      expect.arrayContaining(["b 3 transfer", "b 3 balances", `a ${await seqOf("t")} transfer`]),
    );
  });

  test("another sender", async () => {
    const details = `details = '{"from": "c", "from_seq": 2}'`;
    const change = `${details} where wallet_id = 'b' and event = 'transferred_in'`;
    expect(await found(side(change, "b"))).toEqual([
      `a ${await seqOf("t")} transfer`,
      "b 3 transfer",
    ]);
  });

  test("another receiver", async () => {
    const change = `details = '{"to": "c"}' where ${ofA} and event = 'transferred_out'`;
    expect(await found(side(change, "a"))).toEqual([
      `a ${await seqOf("t")} transfer`,
      "b 3 transfer",
    ]);
  });

  test("a missing sender's event, by verify of the receiver", async () => {
    const change = `event = 'withdrawn', details = null
      where ${ofA} and event = 'transferred_out'`;
    expect(await found(side(change, "a"), "b")).toEqual(["b 3 transfer"]);
  });
});

describe("an edit of the wallet's row is found:", () => {
  test.each([
    ["available = available + 1", "wallet"],
    ["reserved = reserved + 1", "wallet"],
    ["reserved = reserved + 1", "reserved"],
    ["spent = spent + 1", "wallet"],
    ["seq = seq + 1", "wallet"],
    ["seq = seq - 1", "wallet"],
    ["hash = sha256(hash)", "wallet"],
    ["last_event_at = last_event_at + interval '1 microsecond'", "wallet"],
    ["unit = 'EUR'", "terms"],
    ["scale = 6", "terms"],
    ["overdraft_limit = 501", "terms"],
    ["overdraft_limit = null", "terms"],
    ["overdraft_limit = 500", "terms"],
    ["restricted = false", "restricted"],
    ["closed = true", "closed"],
    ["frozen = true", "frozen"],
  ])("%s: %s", async (change, check) => {
    const update = `update baseledger.wallets set ${change} where ${ofA}`;
    for (const walletId of [undefined, "a"]) {
      const discrepancies = await found(update, walletId);
      expect(discrepancies.map((each) => each.replace(/^a [-\d]+ /, ""))).toContain(check);
      expect(discrepancies.filter((each) => !each.startsWith("a "))).toEqual([]);
    }
  });

  test.each([
    "null",
    "'infinity'",
    "(select min(expires_at) + interval '1 microsecond' from baseledger.reservations)",
  ])("a next deadline of %s, which is too late", async (value) => {
    const change = `update baseledger.wallets set next_deadline = ${value} where ${ofA}`;
    expect(await found(change)).toEqual(["a - next deadline"]);
  });

  test("except a next deadline that is too early, which is allowed", async () => {
    const change = `update baseledger.wallets set next_deadline = 'epoch' where ${ofA}`;
    expect(await found(change)).toEqual([]);
  });

  test("deleted", async () => {
    expect(await found(`delete from baseledger.wallets where ${ofA}`)).toEqual(["a 1 orphan"]);
  });

  test("an inserted row without events", async () => {
    const change = `insert into baseledger.wallets
      select 'd', unit, scale, overdraft_limit, false, 5, 0, 0, 0, hash, last_event_at, null
        from baseledger.wallets where ${ofA}`;
    expect(await found(change)).toEqual(expect.arrayContaining(["d 0 wallet", "d 1 terms"]));
  });

  test("a freeze that the journal does not have", async () => {
    const change = `update ${events} set event = 'frozen' where ${ofA} and event = 'unfrozen'`;
    expect(await found(change)).toContain(`a ${(await seqOf("t")) - 1n} frozen`);
  });
});

describe("an edit of who may use the wallet is found:", () => {
  const grants = ["role_name = 'postgres'", "labels = '{}'", "free_labels = '{*}'"];
  test.each([
    ...[...grants, "granted_at = granted_at + interval '1 microsecond'", "wallet_id = 'b'"].map(
      (set) => ["grants", set, "grant"],
    ),
    ...["labels = '{}'", "free_labels = '{*}'", "revoked_at = null", "key_id = 'key_0'"].map(
      (set) => ["keys", `${set} where revoked_at is not null and ${ofA}`, "key"],
    ),
    ...["expires_at = null", "expires_at = 'infinity'", "revoked_at = now()"].map((set) => [
      "keys",
      `${set} where revoked_at is null and ${ofA}`,
      "key",
    ]),
    ["keys", `secret_sha256 = sha256(secret_sha256) where ${ofA}`, "key"],
    ["keys", `created_at = created_at - interval '1 microsecond' where ${ofA}`, "key"],
  ])("%s: %s", async (table, set, check) => {
    const where = set?.includes("where") ? "" : `where ${ofA}`;
    const update = `update baseledger.${table} set ${set} ${where}`;
    expect((await found(update)).map((each) => each.replace(/ [-\d]+ /, " "))).toContain(
      `a ${check}`,
    );
    expect((await found(update, "a")).map((each) => each.replace(/ [-\d]+ /, " "))).toContain(
      `a ${check}`,
    );
  });

  test.each(["grants", "keys"])("%s deleted", async (table) => {
    const discrepancies = await found(`delete from baseledger.${table} where ${ofA}`);
    expect(discrepancies.map((each) => each.replace(/ \d+ /, " "))).toContain(
      `a ${table.slice(0, -1)}`,
    );
  });

  test("a grant that nobody gave", async () => {
    const gift = `insert into baseledger.grants values ('b', 'postgres', '{}', '{*}', now())`;
    expect(await found(gift)).toEqual(["b - grant"]);
  });

  test("a key that nobody made", async () => {
    const gift = `insert into baseledger.keys
      values ('b', 'key_1', sha256('secret'), '{}', '{*}', now(), null, null)`;
    expect(await found(gift)).toEqual(["b - key"]);
  });
});

describe("an edit of an open reservation is found:", () => {
  const of = `${ofA} and reservation_id = 'open'`;
  test.each([
    ["set held = held + 1, amount = amount + 1", `where ${of}`],
    ["set held = held - 1, settled = settled + 1", `where ${of}`],
    ["set settled = settled + 1", `where ${of}`],
    ["set expires_at = expires_at + interval '1 microsecond'", `where ${of}`],
    ["set expires_at = 'infinity'", `where ${of}`],
    ["set reservation_id = 'other'", `where ${of}`],
    ["set wallet_id = 'c'", `where ${of}`],
  ])("%s", async (set, where) => {
    const discrepancies = await found(`update baseledger.reservations ${set} ${where}`);
    expect(discrepancies).toContain(`a ${await seqOf("p")} open reservation`);
  });

  test("deleted", async () => {
    const discrepancies = await found(`delete from baseledger.reservations where ${of}`);
    expect(discrepancies).toEqual(
      expect.arrayContaining([
        `a ${await seqOf("p")} open reservation`,
        `a ${await seqOf("last")} reserved`,
      ]),
    );
  });

  test("an inserted row of an ended one", async () => {
    const change = `insert into baseledger.reservations values ('a', 'r1', 30, 0, 30, 'infinity')`;
    expect(await found(change)).toEqual(
      expect.arrayContaining(["a - open reservation", `a ${await seqOf("last")} reserved`]),
    );
  });

  test("an inserted row of an unknown one without a hold", async () => {
    const change = `insert into baseledger.reservations values ('a', 'x', 1, 1, 0, 'infinity')`;
    expect(await found(change)).toEqual(["a - open reservation"]);
  });

  test("a hold moved from one to another, which keeps the sum", async () => {
    const change = `update baseledger.reservations
      set held = held + case reservation_id when 'open' then 1 else -1 end,
        amount = amount + case reservation_id when 'open' then 1 else -1 end
      where ${ofA}`;
    expect((await found(change)).filter((each) => each.endsWith("open reservation"))).toHaveLength(
      2,
    );
  });
});

test("verify of one wallet ignores the others, verify of the ledger finds all", async () => {
  const change = `update ${events} set amount = 7 where seq = 2`;
  expect(await found(change, "b")).toEqual(["b 2 balances", "b 2 hash"]);
  expect(await found(change)).toEqual(
    ["a", "b", "c", "limited", "priced"].flatMap((id) => [`${id} 2 balances`, `${id} 2 hash`]),
  );
});

test("a key is unique in the journal of a wallet, even for the superuser", async () => {
  const again = `insert into ${events}
    select seq + 1000, amount, available, reserved, spent, occurred_at, expires_at, event, wallet_id,
        reservation_id, idempotency_key, actor, metadata, details, hash
      from ${events} where ${ofA} and idempotency_key = 'last'`;
  await expect(ledger.admin.unsafe(again)).rejects.toMatchObject({ code: "23505" });
});

describe("the journal is append-only", () => {
  const statements = [
    "update baseledger.events set amount = amount + 1",
    "update baseledger.events set amount = amount + 1 where wallet_id = 'a' and seq = 2",
    "delete from baseledger.events where wallet_id = 'a' and seq = 2",
    "delete from baseledger.events",
    "truncate baseledger.events",
    "truncate baseledger.wallets, baseledger.events, baseledger.reservations",
    "update baseledger.journal set amount = 1",
    "delete from baseledger.journal",
    `insert into baseledger.events select * from baseledger.events where seq = 1
      on conflict (wallet_id, seq) do update set amount = 9`,
    `merge into baseledger.events e using (select 1) s on e.seq = 2
      when matched then update set amount = 9`,
    `with gone as (delete from baseledger.events returning *) select count(*) from gone`,
  ];
  const actors: [string, string][] = [
    ["the owner", "set local role baseledger_owner"],
    ["a superuser", "set local role none"],
    [
      "a superuser with session_replication_role = replica",
      "set local session_replication_role = replica",
    ],
    [
      "a superuser with session_replication_role = local",
      "set local session_replication_role = local",
    ],
  ];
  describe.each(actors)("for %s", (_who, become) => {
    test.each(statements)("%s", async (statement) => {
      const attempt = ledger.admin.begin(async (tx) => {
        await tx.unsafe(become);
        await tx.unsafe(statement);
      });
      const detail = await expectRefusal("LGIMM", attempt);
      expect(detail.operation).toMatch(/^(UPDATE|DELETE|TRUNCATE)$/);
    });
  });
});

describe("an edit of limits, counters or low balances is found:", () => {
  const limited = "wallet_id = 'limited'";
  const limits = `update baseledger.limits set`;
  const counters = `update baseledger.counters set`;
  const wallets = `update baseledger.wallets set`;
  const ofDay = `where ${limited} and limit_id = 'day'`;
  const ofAnn = `${ofDay} and label_values = '{ann}'`;

  test.each([
    [`${limits} amount = 101 ${ofDay}`, "limit"],
    [`${limits} amount = null ${ofDay}`, "limit"],
    [`${limits} per = 'week' ${ofDay}`, "limit"],
    [`${limits} by = '{team}' ${ofDay}`, "limit"],
    [`${limits} of = 'calls' ${ofDay}`, "limit"],
    [`${limits} time_zone = 'Asia/Tokyo' ${ofDay}`, "limit"],
    [`${limits} hard = false ${ofDay}`, "limit"],
    [`${limits} alert_at = '{}' ${ofDay}`, "limit"],
    [`${limits} set_seq = set_seq + 1 ${ofDay}`, "limit"],
    [`${limits} set_at = set_at + interval '1 second' ${ofDay}`, "limit"],
    [`${limits} limit_id = 'other' ${ofDay}`, "limit"],
    [`${limits} ends_at = ends_at + interval '1 year' ${ofDay}`, "window"],
    [`${limits} counted_until = starts_at ${ofDay}`, "window"],
    [`${limits} starts_at = '2001-01-01' where ${limited} and per = 'ever'`, "window"],
    [`delete from baseledger.limits ${ofDay}`, "limit"],
    [`delete from baseledger.limits ${ofDay}`, "counter"],
    [`delete from baseledger.limits where ${limited}`, "limit"],
    [`${counters} own_amount = 201 ${ofAnn}`, "own amount"],
    [`${counters} own_amount = null ${ofAnn}`, "own amount"],
    [`${counters} own_amount = 1 ${ofDay} and label_values = '{bob}'`, "own amount"],
    [`${counters} spent = spent - 1 ${ofAnn}`, "counter"],
    [`${counters} spent = spent + 1 where ${limited} and limit_id = 'calls'`, "counter"],
    [`${counters} spent = 1 where ${limited} and limit_id = 'open'`, "counter"],
    [`${counters} held = held - 1 ${ofAnn}`, "counter"],
    [`${counters} held = 0 where ${limited} and limit_id = 'open' and held > 0`, "counter"],
    [`${counters} label_values = '{carl}' ${ofAnn}`, "counter"],
    [`${counters} starts_at = starts_at - interval '1 day' ${ofAnn}`, "counter"],
    [`${counters} ends_at = 'infinity' ${ofAnn}`, "counter"],
    [`${counters} alerted = -1 ${ofAnn}`, "alerted"],
    [`delete from baseledger.counters ${ofAnn}`, "counter"],
    [`delete from baseledger.counters ${ofAnn}`, "own amount"],
    [`delete from baseledger.counters where ${limited} and limit_id = 'open'`, "counter"],
    [`${wallets} limited = false where ${limited}`, "limited"],
    [`${wallets} limited = true where wallet_id = 'c'`, "limited"],
    [`${wallets} low_balances = '{10}' where ${limited}`, "low balances"],
    [`${wallets} low_balances = null, below = null where ${limited}`, "low balances"],
    [`${wallets} below = null where ${limited}`, "low balances"],
    [`${wallets} low_balances = '{5}' where wallet_id = 'c'`, "low balances"],
  ])("%s: %s", async (change, check) => {
    const walletId = change.includes("wallet_id = 'c'") ? "c" : "limited";
    const expected = expect.arrayContaining([expect.stringMatching(`^${walletId} \\S+ ${check}$`)]);
    expect(await found(change)).toEqual(expected);
    expect(await found(change, walletId)).toEqual(expected);
  });

  test("a counter of a limit that there is not", async () => {
    const change = `insert into baseledger.counters
      select 'c', 'day', '{}', null, 0, 0, now(), now() + interval '1 hour', 0`;
    expect(await found(change)).toEqual(["c - counter"]);
  });

  test("all of it, by the events", async () => {
    const change = `delete from baseledger.limits where ${limited};
      delete from baseledger.counters where ${limited};
      ${wallets} limited = false, low_balances = null, below = null where ${limited}`;
    const discrepancies = await found(change);
    expect(discrepancies.filter((each) => / limit$/.test(each))).toHaveLength(3);
    expect(discrepancies).toContainEqual(expect.stringMatching(/^limited \d+ low balances$/));
  });
});

describe("an edit of usage or prices is found, with the chain recomputed:", () => {
  const ofPriced = "wallet_id = 'priced'";
  const event = (set: string, key: string) =>
    `update ${events} set ${set} where ${ofPriced} and idempotency_key = '${key}'`;

  /** What verify and the view say after an edit by a superuser, with the triggers of prices off, too. */
  async function edit(change: string): Promise<{ found: string[]; disagree: string[] }> {
    let disagree: string[] = [];
    const discrepancies = await found(async (tx) => {
      await tx.unsafe("alter table baseledger.price_rows disable trigger user");
      expect((await tx.unsafe(change)).count).toBeGreaterThan(0);
      await rehash(tx, "priced");
      const rows = await tx<{ seq: bigint }[]>`
        select seq from baseledger.costs where wallet_id = 'priced' and not agrees order by seq`;
      disagree = rows.map(({ seq }) => `priced ${seq} price`);
    });
    return { found: discrepancies, disagree };
  }

  test.each([
    ["usage", event(`details = jsonb_set(details, '{usage,output}', '8')`, "s"), [4]],
    ["usage to another kind", event(`details = jsonb_set(details, '{usage,x}', '0')`, "s"), [4]],
    ["the price row to a cheaper one", event(`details = details || '{"price": 2}'`, "r"), [3]],
    ["the price row to none", event(`details = details - 'price'`, "r"), [3]],
    ["usage to none", event(`details = details - 'usage'`, "s"), [4]],
    ["an amount to one with a price", event(`details = '{"price": 1}'`, "c"), [5]],
    [
      "a rate",
      `update baseledger.price_rows set rates = rates || '{"output": 9000000000}' where price_id = 1`,
      [3, 4],
    ],
    ["a currency", "update baseledger.price_rows set currency = 'EUR' where price_id = 1", [3, 4]],
    ["a model", "update baseledger.price_rows set model = 'gpt-6' where price_id = 1", [3]],
    [
      "a price to an alias",
      "update baseledger.price_rows set rates = null, alias_of = 'openai/x' where price_id = 1",
      [3, 4],
    ],
    ["a price row, deleted", "delete from baseledger.price_rows where price_id = 1", [3, 4]],
  ])("%s", async (_what, change, seqs) => {
    const expected = seqs.map((seq) => `priced ${seq} price`);
    expect(await edit(change)).toEqual({ found: expected, disagree: expected });
  });
});

describe("the catalogue of prices is append-only", () => {
  test.each([
    "update baseledger.price_rows set rates = '{}'",
    "delete from baseledger.price_rows",
    "truncate baseledger.price_rows",
    "update baseledger.prices set rates = '{}'",
  ])("for a superuser: %s", async (statement) => {
    await expectRefusal("LGIMM", ledger.admin.unsafe(statement));
  });
});
