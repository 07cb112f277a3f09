// Batches of several wallets: what waits for different wallets goes by `post_many`.
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromPg } from "../../src/client/drivers.ts";
import { createLedger, type Ledger, type LedgerOptions } from "../../src/client/ledger.ts";
import {
  InsufficientFundsError,
  LedgerError,
  OutcomeUnknownError,
  WalletNotFoundError,
} from "../../src/errors/index.ts";
import type { Queryable } from "../../src/wire/call.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  failure,
  history,
  holdLock,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createNetwork } from "./network.ts";
import { countPosts, createClient, isSettled, rejection, untilBlocked, urlOf } from "./support.ts";

let database: TestLedger;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
});
afterAll(async () => {
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

function newWallets(count: number, funds = 1_000n): Promise<string[]> {
  return Promise.all(numbers(count).map(() => openWallet(database, `several-${++wallets}`, funds)));
}

const charge = (ledger: Ledger, walletId: string, idempotencyKey?: string) =>
  ledger.charge({ walletId, amount: 1n, idempotencyKey });

/** What a call ended with: its event, or the code of its error. */
async function outcomes(calls: readonly Promise<{ readonly event: string }>[]) {
  const settled = await Promise.allSettled(calls);
  return settled.map((each) => (each.status === "fulfilled" ? each.value.event : each.reason.code));
}

/** A pool that counts batches, and does not send some of them until they are let go. */
function gate(isKept: (query: string) => boolean) {
  const counted = countPosts(database.connect("agent", 10));
  const open = Promise.withResolvers<void>();
  let kept = 0;
  const sql: Queryable = {
    ...("options" in counted.sql && { options: counted.sql.options }),
    unsafe(query, parameters, options) {
      const sent = counted.sql.unsafe(query, parameters, options);
      if (!isKept(query)) return sent;
      kept += 1;
      return { raw: async () => open.promise.then(() => sent.raw()) };
    },
  };
  return { sql, counted, letGo: open.resolve, kept: () => kept };
}

const isSeveral = (query: string) => query.includes('"post_many"');

describe.each(["postgres", "pg"] as const)("commands in different wallets (%s)", (driver) => {
  test("travel together, in the order of each wallet", async () => {
    const walletIds = await newWallets(60);
    const pg = driver === "pg" ? connectPg() : undefined;
    const pool = countPosts(pg?.sql ?? database.connect("agent", 10));
    await using ledger = createLedger(pool.sql);
    const receipts = await Promise.all(
      walletIds.map((walletId, i) =>
        Promise.all([
          ledger.reserve({ walletId, amount: 10n, reservationId: "r", ttl: 60 }),
          ledger.extend({ walletId, reservationId: "r", ttl: 90, amount: 20n }),
          ledger.settle({ walletId, reservationId: "r", amount: BigInt(i) % 10n, final: false }),
          ledger.cancel({ walletId, reservationId: "r" }),
          ledger.charge({ walletId, amount: 1n }),
        ]),
      ),
    );
    expect(pool.posts).toBe(0);
    expect(pool.several).toBeLessThanOrEqual(4);
    for (const [i, each] of receipts.entries()) {
      expect(each.map(({ walletId }) => walletId)).toEqual(each.map(() => walletIds[i]));
      expect(each.map(({ seq }) => seq)).toEqual([3n, 4n, 5n, 6n, 7n]);
      expect(each.at(-1)).toMatchObject({ available: 999n - (BigInt(i) % 10n) });
    }
    await pg?.end();
  });
});

function connectPg() {
  const pool = new pg.Pool({ connectionString: urlOf(database), max: 10 });
  return { sql: fromPg(pool), end: () => pool.end() };
}

test("the command of a wallet that is alone goes by post", async () => {
  const [one = "", two = ""] = await newWallets(2);
  const pool = countPosts(database.connect("agent", 10));
  await using ledger = createLedger(pool.sql);
  await charge(ledger, one);
  await charge(ledger, two);
  await Promise.all([charge(ledger, one), charge(ledger, one)]);
  expect(pool).toMatchObject({ posts: 3, several: 0 });
});

test("many commands are divided into batches of at most the batch size", async () => {
  const walletIds = await newWallets(30);
  await using ledger = createClient(database, { batchSize: 8 });
  await Promise.all(numbers(4).flatMap(() => walletIds.map((id) => charge(ledger, id))));
  const rows = await database.admin<{ events: number }[]>`
    select count(*)::integer as events from baseledger.events
      where wallet_id = any (string_to_array(${walletIds.join()}, ',')) and event = 'charged'
      group by xmin::text`;
  expect(rows.reduce((sum, { events }) => sum + events, 0)).toBe(120);
  expect(Math.max(...rows.map(({ events }) => events))).toBe(8);
});

describe("what fails, fails alone:", () => {
  test("refused commands", async () => {
    const [one = "", two = "", three = ""] = await newWallets(3, 5n);
    const pool = countPosts(database.connect("agent", 10));
    await using ledger = createLedger(pool.sql);
    const calls = [
      charge(ledger, one),
      ledger.charge({ walletId: two, amount: 6n }),
      charge(ledger, "nowhere"),
      ledger.settle({ walletId: three, reservationId: "none", amount: 1n }),
      ledger.charge({ walletId: " blank", amount: 1n }),
      charge(ledger, two),
      charge(ledger, "nowhere"),
      charge(ledger, three),
    ];
    expect(await outcomes(calls)).toEqual([
      "charged",
      "LGNSF",
      "LGWNF",
      "LGRNF",
      expect.stringMatching(/^LG(ARG|WNF)$/),
      "charged",
      "LGWNF",
      "charged",
    ]);
    expect(pool).toMatchObject({ posts: 0, several: 1 });
    expect(await failure(calls[1] as Promise<never>)).toBeInstanceOf(InsufficientFundsError);
    const unknown = await rejection(WalletNotFoundError, calls[2] as Promise<never>);
    expect(unknown.walletId).toBe("nowhere");
  });

  test("commands that cannot be sent", async () => {
    const [one = "", two = ""] = await newWallets(2);
    const pool = countPosts(database.connect("agent", 10));
    await using ledger = createLedger(pool.sql);
    const wrong = [undefined, 7, "nul \0", "\ud800"].map((id) => charge(ledger, id as string));
    const calls = [charge(ledger, one), ...wrong, charge(ledger, two)];
    const codes = wrong.map(() => "LGARG");
    expect(await outcomes(calls)).toEqual(["charged", ...codes, "charged"]);
    for (const each of wrong) expect(await failure(each)).toMatchObject({ field: "wallet_id" });
    expect(pool).toMatchObject({ posts: 0, several: 1 });
  });

  test("a command that the server cannot parse", async () => {
    const walletIds = await newWallets(12);
    const poisoned = walletIds[5] ?? "";
    await using ledger = createClient(database);
    const metadata = { endless: 10n ** 140_000n };
    const calls = walletIds.flatMap((walletId) => [
      ledger.reserve({ walletId, amount: 5n, reservationId: "r" }),
      ...(walletId === poisoned ? [ledger.charge({ walletId, amount: 1n, metadata })] : []),
      ledger.settle({ walletId, reservationId: "r", amount: 2n }),
    ]);
    const ends = await outcomes(calls);
    expect(ends.filter((end) => end === "22003")).toHaveLength(1);
    expect(ends.filter((end) => end !== "22003")).toEqual(
      walletIds.flatMap(() => ["reserved", "settled"]),
    );
    expect(await failure(calls[11] as Promise<never>)).toMatchObject({ code: "22003" });
    for (const id of walletIds) {
      expect((await history(database, id)).slice(2)).toEqual(["reserved", "settled"]);
    }
  });

  test("the commands of an unsound wallet", async () => {
    const [unsound = "", ...sound] = await newWallets(5);
    await using ledger = createClient(database);
    await ledger.reserve({ walletId: unsound, amount: 5n, reservationId: "r", ttl: 600 });
    const spoil = (reserved: number) => database.admin`
      update baseledger.wallets set reserved = ${reserved} where wallet_id = ${unsound}`;
    await spoil(0);
    const settling = ledger.settle({ walletId: unsound, reservationId: "r", amount: 1n });
    const charging = sound.map((walletId) => charge(ledger, walletId));
    expect(await outcomes([settling, ...charging])).toEqual([
      "XX001",
      ...sound.map(() => "charged"),
    ]);
    // As the database raises it.
    const error = await failure(settling);
    expect(error).not.toBeInstanceOf(LedgerError);
    expect(error).toMatchObject({ severity: "ERROR" });
    await spoil(5);
    await ledger.settle({ walletId: unsound, reservationId: "r", amount: 1n });
  });
});

describe("a wallet that another session has locked", () => {
  test("delays no other, and has its commands carried out in their order", async () => {
    const [locked = "", another = "", ...free] = await newWallets(8);
    const pool = countPosts(database.connect("agent", 6));
    await using ledger = createLedger(pool.sql);
    const locks = await Promise.all([locked, another].map((id) => holdLock(database, id)));
    const waiting = numbers(10).map((i) =>
      ledger.charge({ walletId: locked, amount: BigInt(i + 1) }),
    );
    const other = charge(ledger, another);
    await Promise.all(free.map((walletId) => charge(ledger, walletId)));
    // One statement a wallet waits for its lock; more commands come behind it.
    await untilBlocked(database, 2);
    waiting.push(ledger.charge({ walletId: locked, amount: 11n }));
    const { posts } = pool;
    for (const _ of numbers(3)) {
      await Promise.all(free.map((walletId) => charge(ledger, walletId)));
    }
    expect(pool.posts).toBe(posts);
    expect(await Promise.all(waiting.map(isSettled))).toEqual(waiting.map(() => false));
    await Promise.all(locks.map((letGo) => letGo()));
    const receipts = await Promise.all(waiting);
    expect(receipts.map(({ amount }) => amount)).toEqual(numbers(11).map((i) => BigInt(i + 1)));
    expect(receipts.map(({ seq }) => seq)).toEqual(numbers(11).map((i) => BigInt(i + 3)));
    expect(await other).toMatchObject({ seq: 3n });
  });

  test("keeps the order of commands that come while its batch is under way", async () => {
    const [locked = "", free = ""] = await newWallets(2);
    const { sql, letGo: deliver, kept } = gate(isSeveral);
    await using ledger = createLedger(sql);
    const letGo = await holdLock(database, locked);
    const amounts = [1n, 2n, 3n, 4n];
    const send = (amount: bigint) => ledger.charge({ walletId: locked, amount });
    const first = [charge(ledger, free), ...amounts.slice(0, 2).map(send)];
    await until("the batch is under way", () => kept() === 1);
    const others = amounts.slice(2).map(send);
    deliver();
    await first[0];
    await letGo();
    const receipts = await Promise.all([...first.slice(1), ...others]);
    expect(receipts.map(({ amount }) => amount)).toEqual(amounts);
    expect(receipts.map(({ seq }) => seq)).toEqual([3n, 4n, 5n, 6n]);
  });

  test("is in batches of several again as soon as it is free", async () => {
    const [locked = "", ...free] = await newWallets(3);
    let isKeeping = false;
    const { sql, counted, letGo: deliver, kept } = gate((query) => isKeeping && isSeveral(query));
    await using ledger = createLedger(sql);
    const letGo = await holdLock(database, locked);
    const calls = [locked, ...free].map((walletId) => charge(ledger, walletId));
    await Promise.all(calls.slice(1));
    await untilBlocked(database, 1);
    isKeeping = true;
    calls.push(...free.map((walletId) => charge(ledger, walletId)));
    await until("the others are under way", () => kept() === 1);
    calls.push(charge(ledger, locked));
    await letGo();
    await until("it is under way, too", () => kept() === 2);
    deliver();
    await Promise.all(calls);
    expect(counted.posts).toBe(1);
  });
});

test("a wallet whose backlog takes more than one command is served, too", async () => {
  const [behind = "", ...others] = await newWallets(3, 100_000n);
  for (const [first, last] of [
    [1, 10_000],
    [10_001, 10_001],
  ] as const) {
    await database.admin`
      select baseledger.post(${behind}, jsonb_agg(jsonb_build_object(
          'op', 'reserve', 'amount', 1, 'idempotency_key', 'r' || i, 'ttl', 1
        ))) from generate_series(${first}::integer, ${last}::integer) as i`;
  }
  await until("they are due", async () => {
    const [row] = await database.admin<{ due: boolean }[]>`
      select max(expires_at) < clock_timestamp() as due from baseledger.open_reservations
        where wallet_id = ${behind}`;
    return row?.due;
  });
  const pool = countPosts(database.connect("agent", 4));
  await using ledger = createLedger(pool.sql);
  const receipts = await Promise.all([behind, ...others].map((id) => charge(ledger, id)));
  expect(receipts.map(({ event }) => event)).toEqual(receipts.map(() => "charged"));
  expect(pool).toMatchObject({ posts: 1, several: 1 });
});

describe("beside many wallets", () => {
  test("a hot one has batches of its own", async () => {
    const [hot = "", ...cold] = await newWallets(31);
    const pool = countPosts(database.connect("agent", 10));
    await using ledger = createLedger(pool.sql);
    const receipts = await Promise.all([
      ...cold.slice(0, 15).map((walletId) => charge(ledger, walletId)),
      ...numbers(40).map(() => charge(ledger, hot)),
      ...cold.slice(15).map((walletId) => charge(ledger, walletId)),
    ]);
    expect(pool.posts).toBe(1);
    const seqs = receipts.filter(({ walletId }) => walletId === hot).map(({ seq }) => seq);
    expect(seqs).toEqual(numbers(40).map((i) => BigInt(i + 3)));
  });

  test("a hot one does not wait for theirs, nor do those that come later", async () => {
    const [hot = "", ...cold] = await newWallets(41);
    const { sql, counted, letGo, kept } = gate(isSeveral);
    await using ledger = createLedger(sql);
    const slow = cold.slice(0, 30).map((walletId) => charge(ledger, walletId));
    await until("batches are under way", () => kept() > 0);
    for (const _ of numbers(3)) {
      await Promise.all(numbers(20).map(() => charge(ledger, hot)));
    }
    expect(counted.posts).toBe(3);
    const before = kept();
    const later = cold.slice(30).map((walletId) => charge(ledger, walletId));
    await until("the later ones are sent", () => kept() > before);
    expect(await Promise.all([...slow, ...later].map(isSettled))).toEqual(cold.map(() => false));
    letGo();
    await Promise.all([...slow, ...later]);
  });

  test("batches that do not come back leave room for others", async () => {
    const walletIds = await newWallets(12);
    const { sql, letGo, kept } = gate(isSeveral);
    await using ledger = createLedger(sql);
    const calls: Promise<unknown>[] = [];
    for (const i of numbers(6)) {
      for (const walletId of walletIds.slice(2 * i, 2 * i + 2))
        calls.push(charge(ledger, walletId));
      await until("they are sent", () => kept() === i + 1);
    }
    letGo();
    await Promise.all(calls);
  });
});

describe("a connection that breaks during a batch of several wallets", () => {
  test.each(["questions", "answers"] as const)(
    "with the %s: each command is carried out once",
    async (direction) => {
      const walletIds = await newWallets(20);
      await using network = await createNetwork(urlOf(database));
      await using ledger = createLedger(network.through(urlOf(database)));
      await Promise.all(walletIds.map((walletId) => charge(ledger, walletId)));
      network.hold(direction);
      const charging = walletIds.flatMap((walletId) => [
        charge(ledger, walletId),
        charge(ledger, walletId),
      ]);
      await until("it is on its way", () => network.held > 0);
      network.cut();
      const receipts = await Promise.all(charging);
      expect(receipts.map(({ seq }) => seq)).toEqual(walletIds.flatMap(() => [4n, 5n]));
      const replayed = receipts.filter((receipt) => receipt.replayed);
      if (direction === "questions") expect(replayed).toHaveLength(0);
      for (const id of walletIds) expect((await history(database, id)).slice(2)).toHaveLength(3);
    },
  );

  test("leaves in doubt what then finds its wallet locked until time is up", async () => {
    const [locked = "", free = ""] = await newWallets(2);
    await using network = await createNetwork(urlOf(database));
    await using ledger = createLedger(network.through(urlOf(database)), { retryFor: 3 });
    const walletIds = [locked, free];
    await Promise.all(walletIds.map((walletId) => charge(ledger, walletId)));
    network.hold("answers");
    const [first, second] = walletIds.map((walletId) => charge(ledger, walletId, "doubtful"));
    await until("they are done", async () => (await history(database, free)).length === 4);
    const letGo = await holdLock(database, locked);
    network.cut();
    expect(await second).toMatchObject({ event: "charged", replayed: true });
    await rejection(OutcomeUnknownError, first as Promise<never>);
    await letGo();
    expect(await charge(ledger, locked, "doubtful")).toMatchObject({ seq: 4n, replayed: true });
  });

  test("a driver that mixes up the answers: each command gets its own", async () => {
    const walletIds = await newWallets(3);
    let faults = 0;
    const spoilt: Queryable = {
      unsafe: (...query) => ({
        raw: async () => {
          const rows = await database.agent.unsafe(...query).raw();
          return isSeveral(query[0]) && faults++ === 0 ? rows.toReversed() : rows;
        },
      }),
    };
    await using ledger = createLedger(spoilt);
    const receipts = await Promise.all(walletIds.map((id) => charge(ledger, id, "same key")));
    expect(receipts.map(({ walletId }) => walletId)).toEqual(walletIds);
    expect(faults).toBe(2);
  });
});

describe("when time is up", () => {
  test("a batch that does not come back leaves its commands in doubt, and its wallets go on", async () => {
    const walletIds = await newWallets(3);
    const { sql, letGo } = gate(isSeveral);
    const ledger = createLedger(sql, { retryFor: 1 });
    const lost = walletIds.map((walletId) => charge(ledger, walletId, "lost"));
    for (const each of lost) await rejection(OutcomeUnknownError, each);
    // One wallet, so that it goes by post.
    for (const walletId of walletIds) {
      expect(await charge(ledger, walletId)).toMatchObject({ event: "charged" });
    }
    letGo();
    await ledger.close();
  });
});

describe("a database in which post_many cannot be used", () => {
  const signature = "baseledger.post_many(jsonb)";
  const raising = (code: string) => `
    create or replace function baseledger.post_many(p_commands jsonb)
    returns setof baseledger.receipt language plpgsql as $$
    begin raise exception 'no' using errcode = '${code}'; end $$`;

  test.each([
    ["as it has none", `alter function ${signature} rename to renamed`, 1],
    ["as the login may not", `revoke execute on function ${signature} from baseledger_agent`, 1],
    // What Citus says of locking rows in several places.
    ["as it is distributed", raising("0A000"), 2],
  ])("(%s) serves each wallet by post", async (_, change, tries) => {
    await using other = await createTestLedger();
    const walletIds = await Promise.all(numbers(9).map((i) => openWallet(other, `w${i}`, 100n)));
    await other.admin.unsafe(change);
    const pool = countPosts(other.connect("agent", 4));
    await using ledger = createLedger(pool.sql);
    for (const round of numbers(3)) {
      const calls = walletIds.map((walletId) => charge(ledger, walletId));
      const receipts = await Promise.all(calls);
      expect(receipts.map(({ seq }) => seq)).toEqual(walletIds.map(() => BigInt(round + 3)));
    }
    expect(pool).toMatchObject({ posts: 27, several: tries });
  });

  test.each(["P0001", "XX000", "57014"])(
    "as it fails with %s once: nobody notices",
    async (code) => {
      await using other = await createTestLedger();
      const walletIds = await Promise.all(numbers(9).map((i) => openWallet(other, `w${i}`, 100n)));
      const { fails, sql } = failing(other, code);
      await using ledger = createLedger(sql);
      const receipts = await Promise.all(walletIds.map((walletId) => charge(ledger, walletId)));
      expect(receipts.map(({ seq }) => seq)).toEqual(walletIds.map(() => 3n));
      expect(fails()).toBe(1);
    },
  );

  /** Fails the first batch of several wallets, before it is sent. */
  function failing(other: TestLedger, code: string) {
    let count = 0;
    const sql: Queryable = {
      unsafe: (...query) => ({
        raw: async () => {
          if (isSeveral(query[0]) && count++ === 0) {
            throw Object.assign(new Error("failed"), { code, severity: "ERROR", where: "inside" });
          }
          return other.agent.unsafe(...query).raw();
        },
      }),
    };
    return { sql, fails: () => Math.min(count, 1) };
  }
});

test("close waits for what waits for different wallets", async () => {
  const walletIds = await newWallets(25);
  const options: LedgerOptions = { batchSize: 4 };
  const ledger = createClient(database, options);
  const charging = walletIds.map((walletId) => charge(ledger, walletId));
  await ledger.close();
  expect(await Promise.all(charging.map(isSettled))).toEqual(charging.map(() => true));
  for (const each of await Promise.all(charging)) expect(each.event).toBe("charged");
});
