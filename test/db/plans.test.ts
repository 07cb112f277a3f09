import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Arguments,
  call,
  command,
  createLedger,
  openWallet,
  outcome,
  post,
  postMany,
  type Session,
  type TestLedger,
} from "../support/ledger.ts";
import { copyTemplate, startTemplateServer } from "../support/template.ts";

// What a command reads must not grow with the history of its wallet, whatever the statistics of the
// tables are, as they are always out of date. For each kind of statistics, these tests count the rows
// and index entries that commands read on a wallet of 50,000 events.

// On a separate server: while a transaction is open in another database, PostgreSQL may keep index
// entries of dead rows, which count as well.
const server = await startTemplateServer();
afterAll(() => server.stop());

const EVENTS = 50_000;
const OPEN = 2_000;
/** Wallets with little in each, beside the hot one. */
const COLD = 3_000;
/** The most that a single command reads: its wallet, its key, its reservation, the next deadline. */
const FEW = 16;
/**
 * What a batch that ends reservations may read in addition in one case: without statistics of any
 * reservation, PostgreSQL 15 and 16 read the index entries and rows of all open ones.
 */
const ALL_OPEN = 2 * (OPEN + 200);

type Statistics = readonly [name: string, analyse: (ledger: TestLedger) => Promise<unknown>];

const analyse = (ledger: TestLedger) =>
  ledger.admin.unsafe("analyze baseledger.wallets, baseledger.events, baseledger.reservations");

/** Inserts events directly, which is faster than a command for each. */
async function fillEvents(ledger: TestLedger, walletId: string, count: number): Promise<void> {
  await ledger.admin`
    insert into baseledger.events (seq, amount, available, reserved, spent, occurred_at,
        expires_at, event, wallet_id, reservation_id, idempotency_key, actor, metadata, details,
        hash)
      select w.seq + n, 1, w.available, w.reserved, w.spent,
          w.last_event_at + n * interval '1 microsecond',
          case n % 2 when 1 then w.last_event_at + interval '10 minutes' end,
          case n % 2 when 1 then 'reserved' else 'settled' end::baseledger.event_type,
          w.wallet_id, 'old ' || (n + 1) / 2, 'old key ' || n, 'filler', '{}', null, w.hash
        from baseledger.wallets w
        cross join generate_series(1, ${count}::int) as n
        where w.wallet_id = ${walletId}`;
  await ledger.admin`
    update baseledger.wallets
      set seq = seq + ${count}::int,
        last_event_at = last_event_at + ${count}::int * interval '1 microsecond'
      where wallet_id = ${walletId}`;
}

async function fillReservations(ledger: TestLedger, id: string, count: number): Promise<void> {
  await ledger.admin`
    insert into baseledger.reservations
      select ${id}, 'held ' || n, 5, 0, 5, now() + interval '1 hour' + n * interval '1 second'
        from generate_series(1, ${count}::int) n`;
  await ledger.admin`
    update baseledger.wallets set reserved = reserved + 5 * ${count}::int,
        next_deadline = now() + interval '1 hour'
      where wallet_id = ${id}`;
}

const wallets = (ledger: TestLedger, count: number) => ledger.operator`
  select count(baseledger.open_wallet('many ' || n)) from generate_series(1, ${count}::int) n`;

const statistics: Statistics[] = [
  ["never made", () => Promise.resolve()],
  ["made while the tables were empty", analyse],
  [
    "made with one event",
    async (ledger) => {
      await openWallet(ledger, "only");
      await analyse(ledger);
    },
  ],
  [
    "made with one event in each of many wallets",
    async (ledger) => {
      await wallets(ledger, 1000);
      await analyse(ledger);
    },
  ],
  [
    "made with a reservation in each of many wallets",
    async (ledger) => {
      await wallets(ledger, 600);
      await ledger.operator`
        select count(baseledger.credit('many ' || n, 5, 'c')),
            count(baseledger.reserve('many ' || n, 1, 'r')),
            count(baseledger.charge('many ' || n, 1, 'x'))
          from generate_series(1, 600) n`;
      await analyse(ledger);
    },
  ],
  [
    "made with one wallet and one reservation of many parts",
    async (ledger) => {
      await openWallet(ledger, "parts", 10_000n);
      await command(ledger.agent, "reserve", {
        wallet_id: "parts",
        amount: 5n,
        idempotency_key: "r",
      });
      const part = { op: "settle", reservation_id: "r", amount: 1, final: false };
      const parts = Array.from({ length: 1000 }, (_, i) => ({ ...part, idempotency_key: `p${i}` }));
      await post(ledger.agent, "parts", parts);
      await analyse(ledger);
    },
  ],
  [
    "made with everything in it",
    async (ledger) => {
      await hotWallet(ledger);
      await analyse(ledger);
    },
  ],
];

/** The hot wallet, with some reservations to end and to come due. */
async function hotWallet(ledger: TestLedger): Promise<void> {
  await openWallet(ledger, "hot", 1_000_000n);
  await fillEvents(ledger, "hot", EVENTS);
  await fillReservations(ledger, "hot", OPEN);
  const ops = ["settle", "part", "cancel", "extend", "ended", "batch", "r"];
  await post(
    ledger.agent,
    "hot",
    ops.flatMap((name) =>
      Array.from({ length: 20 }, (_, i) => ({
        op: "reserve",
        amount: 2,
        ttl: 864_000,
        idempotency_key: `${name} ${i}`,
      })),
    ),
  );
  await post(ledger.agent, "hot", [
    { op: "settle", reservation_id: "ended 1", amount: 2, idempotency_key: "ended a" },
    { op: "cancel", reservation_id: "ended 2", idempotency_key: "ended b" },
    { op: "charge", amount: 5, idempotency_key: "charged" },
  ]);

  await openWallet(ledger, "due", 1_000_000n);
  const soon = Array.from({ length: 60 }, (_, i) => ({
    op: "reserve",
    amount: 2,
    ttl: 864_000,
    idempotency_key: i < 3 ? `late ${i}` : `rest ${i}`,
  }));
  await post(ledger.agent, "due", soon);
  await fillReservations(ledger, "due", OPEN);
}

/** Wallets `cold 1` and so on, each with a reservation to end, one past its deadline, and a charge. */
async function coldWallets(ledger: TestLedger): Promise<void> {
  await ledger.admin.unsafe(`
    insert into baseledger.wallets (wallet_id, unit, scale, available, reserved, spent, seq, hash,
        last_event_at, next_deadline)
      select 'cold ' || n, w.unit, w.scale, 990, 9, 1, 4, w.hash, now() - interval '2 minutes',
          now() - interval '1 minute'
        from baseledger.wallets w, generate_series(1, ${COLD}) n
        where w.wallet_id = 'hot';
    insert into baseledger.events (seq, amount, available, reserved, spent, occurred_at, event,
        wallet_id, reservation_id, idempotency_key, actor, metadata, hash)
      select 4, 1, 990, 9, 1, now() - interval '2 minutes', 'charged', w.wallet_id, 'charged',
          'charged', 'filler', '{}', w.hash
        from baseledger.wallets w where w.wallet_id ~ '^cold ';
    insert into baseledger.reservations
      select w.wallet_id, r.id, r.held, 0, r.held, r.expires_at
        from baseledger.wallets w
        cross join (values
          ('r', 6, now() + interval '1 hour'), ('due', 3, now() - interval '1 minute')
        ) as r(id, held, expires_at)
        where w.wallet_id ~ '^cold '`);
}

/** Expects that `send` reads no more than so many rows and index entries. */
type AtMost = (limit: number, what: string, send: () => Promise<unknown>) => Promise<void>;

function meterOf({ sql }: Session, relations: readonly { oid: number; name: string }[]): AtMost {
  // The counters of the running transaction, which are exact.
  const counters = relations.map(
    ({ oid, name }) => `('${name}', pg_stat_get_xact_tuples_returned(${oid})
      + pg_stat_get_xact_tuples_fetched(${oid}))`,
  );
  const query = `select name, read from (values ${counters.join()}) as c(name, read)`;
  const count = async () => {
    const rows = await sql.unsafe<{ name: string; read: bigint }[]>(query);
    return new Map(rows.map(({ name, read }) => [name, read]));
  };

  return async (limit, what, send) => {
    const before = await count();
    await send();
    const reads = [...(await count())].map(
      ([name, read]) => [name, Number(read - (before.get(name) ?? 0n))] as const,
    );
    const sum = reads.reduce((all, [, read]) => all + read, 0);
    const parts = reads.filter(([, read]) => read > 0).map(([name, read]) => `${name} ${read}`);
    expect(sum, `${what} reads ${parts.join(", ")}`).toBeLessThanOrEqual(limit);
  };
}

/** Measures in a transaction of the session that is always rolled back. */
async function metered(
  ledger: TestLedger,
  session: Session,
  measure: (atMost: AtMost, sql: Session["sql"]) => Promise<void>,
): Promise<void> {
  const relations = await ledger.admin<{ oid: number; name: string }[]>`
    select oid, relname as name from pg_class
      where relnamespace = 'baseledger'::regnamespace
        and relkind in ('r', 'i') and relname !~ 'migrations'`;
  expect(relations.length).toBeGreaterThan(8);
  await session.sql.unsafe("begin");
  try {
    await measure(meterOf(session, relations), session.sql);
  } finally {
    await session.sql.unsafe("rollback");
  }
}

const w = { wallet_id: "hot" };
// The command, its arguments, and the event or the code of the refusal.
const singles: [string, Arguments, string][] = [
  ["reserve", { amount: 1n, idempotency_key: "n1" }, "reserved"],
  ["reserve", { amount: 1n, idempotency_key: "n2", at_least: 1n, ttl: "1 hour" }, "reserved"],
  ["reserve", { amount: 2n, idempotency_key: "r 1", ttl: "10 days" }, "reserved"],
  ["reserve", { amount: 1n, idempotency_key: "old key 777" }, "LGIDK"],
  ["reserve", { amount: 1n, idempotency_key: "n3", reservation_id: "old 777" }, "LGRID"],
  ["reserve", { amount: 10n ** 6n, idempotency_key: "n4" }, "LGNSF"],
  ["reserve", { amount: 10n ** 9n, idempotency_key: "n4" }, "LGNSF"],
  ["settle", { reservation_id: "settle 1", amount: 1n, idempotency_key: "s1" }, "settled"],
  ["settle", { reservation_id: "settle 2", amount: 9n, idempotency_key: "s2" }, "settled"],
  [
    "settle",
    { reservation_id: "part 1", amount: 1n, final: false, idempotency_key: "s3" },
    "settled",
  ],
  ["settle", { reservation_id: "held 1500", amount: 1n, idempotency_key: "s4" }, "settled"],
  ["settle", { reservation_id: "old 20000", amount: 1n, idempotency_key: "s5" }, "LGEND"],
  ["settle", { reservation_id: "old 2", amount: 1n, idempotency_key: "old key 4" }, "settled"],
  ["settle", { reservation_id: "nothing", amount: 1n, idempotency_key: "s6" }, "LGRNF"],
  ["cancel", { reservation_id: "cancel 1", idempotency_key: "c1" }, "cancelled"],
  ["cancel", { reservation_id: "ended 2", idempotency_key: "c2" }, "LGEND"],
  ["cancel", { reservation_id: "zzz", idempotency_key: "c3" }, "LGRNF"],
  ["extend", { reservation_id: "extend 1", ttl: "2 hours", idempotency_key: "e1" }, "extended"],
  [
    "extend",
    { reservation_id: "extend 2", ttl: "1 day", amount: 9n, idempotency_key: "e2" },
    "extended",
  ],
  ["extend", { reservation_id: "old 1", ttl: "2 hours", idempotency_key: "e3" }, "LGEND"],
  ["charge", { amount: 1n, idempotency_key: "h1" }, "charged"],
  ["charge", { amount: 5n, idempotency_key: "charged" }, "charged"],
  ["charge", { amount: 5n, idempotency_key: "h2", reservation_id: "old 9" }, "LGRID"],
  ["refund", { reservation_id: "charged", amount: 1n, idempotency_key: "f1" }, "refunded"],
  ["refund", { reservation_id: "old 20001", amount: 1n, idempotency_key: "f2" }, "refunded"],
  ["refund", { reservation_id: "old 20002", amount: 9n, idempotency_key: "f3" }, "LGRFD"],
  ["refund", { reservation_id: "none", amount: 9n, idempotency_key: "f4" }, "LGRNF"],
  ["credit", { amount: 1n, idempotency_key: "d1" }, "credited"],
  ["credit", { amount: 1_000_000n, idempotency_key: "funds" }, "credited"],
  ["withdraw", { amount: 1n, idempotency_key: "w1" }, "withdrawn"],
  ["freeze_wallet", { reason: "stop", idempotency_key: "z1" }, "frozen"],
  ["charge", { amount: 1n, idempotency_key: "h3" }, "LGFRZ"],
  ["unfreeze_wallet", { reason: "go", idempotency_key: "z2" }, "unfrozen"],
  ["open_wallet", {}, "opened"],
];

/** Commands for several wallets: the last of every ten for the hot one, the others each for its own. */
function manyCommands(size: number): Arguments[] {
  const ofCold: Arguments[] = [
    { op: "reserve", amount: 1 },
    { op: "settle", amount: 1, reservation_id: "r" },
    { op: "charge", amount: 1 },
    { op: "cancel", reservation_id: "due" },
    { op: "extend", ttl: 60, reservation_id: "r" },
    { op: "settle", amount: 1, reservation_id: "due" },
    { op: "cancel", reservation_id: "charged" },
    { op: "charge", amount: 1, idempotency_key: "charged" },
    { op: "settle", amount: 1, reservation_id: "none" },
  ];
  return Array.from({ length: size }, (_, i) => {
    const key = { idempotency_key: `many ${i}` };
    return i % 10 === 9
      ? { ...key, wallet_id: "hot", op: "cancel", reservation_id: `held ${i}` }
      : { ...key, wallet_id: `cold ${1 + ((i * 7) % COLD)}`, ...ofCold[i % 10] };
  });
}

describe.each(statistics)("with statistics %s", (_name, makeStatistics) => {
  let ledger: TestLedger;
  let cached: Session;
  let onTop: number;

  beforeAll(async () => {
    ledger = await createLedger(await copyTemplate(server));
    // The statistics must stay as this test makes them.
    await ledger.admin.unsafe(
      ["wallets", "events", "reservations"]
        .map((table) => `alter table baseledger.${table} set (autovacuum_enabled = off)`)
        .join(";"),
    );
    // A session that has cached its plans while the tables were almost empty.
    cached = await ledger.session("operator");
    await openWallet(ledger, "young", 100n);
    for (let i = 0; i < 7; i++) {
      await cached.sql.unsafe("begin");
      for (const [name, args] of singles) {
        await cached.sql.unsafe("savepoint s");
        await outcome(command(cached.sql, name, { ...args, wallet_id: "young" }));
        await cached.sql.unsafe("rollback to s");
      }
      await call(cached.sql, "post", { wallet_id: "young", commands: [] });
      const ofYoung = manyCommands(6).map((each) => ({ ...each, wallet_id: "young" }));
      await postMany(cached.sql, ofYoung);
      await cached.sql.unsafe("rollback");
    }
    await makeStatistics(ledger);
    const [known] = await ledger.admin<{ ofReservations: boolean }[]>`
      select current_setting('server_version_num')::int >= 170000 or exists (
          select from pg_stats where tablename = 'reservations' and attname = 'wallet_id'
        ) as "ofReservations"`;
    onTop = known?.ofReservations ? 0 : ALL_OPEN;
    const [hot] = await ledger.admin`select from baseledger.wallets where wallet_id = 'hot'`;
    if (!hot) await hotWallet(ledger);
    await openWallet(ledger, "other", 1000n);
  });
  afterAll(async () => {
    await ledger[Symbol.asyncDispose]();
  });

  const sessions: [string, () => Promise<Session>][] = [
    ["a new session", () => ledger.session("operator")],
    ["a session with its plans cached", () => Promise.resolve(cached)],
    [
      "a session that plans each statement",
      () => ledger.session("operator", { plan_cache_mode: "force_custom_plan" }),
    ],
  ];

  // First, as the rows that the other tests roll back stay in the indexes until a vacuum.
  test("balances and a short statement read a few rows", async () => {
    const [middle] = await ledger.admin<{ at: string; until: string }[]>`
      select occurred_at as at, occurred_at + interval '10 microseconds' as until
        from baseledger.events where wallet_id = 'hot' and seq = ${EVENTS / 2}`;
    const { at = "", until = "" } = middle ?? {};
    await using session = await ledger.session("auditor");
    await metered(ledger, session, async (atMost, sql) => {
      await atMost(FEW, "balance", () => call(sql, "balance", w));
      // bisection reads two rows for each halving
      const past = { ...w, at };
      await atMost(4 * FEW, "balance_at", () => call(sql, "balance_at", past));
      const before = { ...w, at: "2001-01-01" };
      await atMost(4 * FEW, "balance_at, long ago", () => call(sql, "balance_at", before));
      const now = { ...w, at: "infinity" };
      await atMost(4 * FEW, "balance_at, now", () => call(sql, "balance_at", now));
      const statement = () => sql`
        select * from baseledger.statement('hot', ${at}::text::timestamptz,
          ${until}::text::timestamptz)`;
      await atMost(8 * FEW, "statement", async () => {
        expect(await statement()).toHaveLength(10);
      });
    });
  });

  test.each(sessions)("single commands of %s read a few rows", async (_which, open) => {
    await metered(ledger, await open(), async (atMost, sql) => {
      for (const [name, args, expected] of singles) {
        let ended = "";
        await sql.unsafe("savepoint s");
        await atMost(FEW, `${name} ${args.idempotency_key}`, async () => {
          const result = await outcome(command(sql, name, { ...w, ...args }));
          ended = "code" in result ? result.code : `${result.event}`;
          if ("code" in result) await sql.unsafe("rollback to s");
        });
        expect([name, args, ended]).toEqual([name, args, expected]);
      }
      const transfer = { from: "hot", to: "other", amount: 1n, idempotency_key: "t" };
      const back = { ...transfer, from: "other", to: "hot" };
      await atMost(2 * FEW, "transfer", () => command(sql, "transfer", transfer));
      await atMost(2 * FEW, "transfer back", () => command(sql, "transfer", back));
    });
  });

  test.each(sessions)("batches of %s read a few rows a command", async (_which, open) => {
    const kinds: ((i: number) => Arguments)[] = [
      () => ({ op: "reserve", amount: 1 }),
      (i) => ({ op: "settle", amount: 1, reservation_id: `b${i - 1}` }),
      () => ({ op: "charge", amount: 1 }),
      (i) => ({ op: "settle", amount: 1, reservation_id: `batch ${i % 20}` }),
      (i) => ({ op: "cancel", reservation_id: `held ${i + 1}` }),
      (i) => ({ op: "settle", amount: 1, reservation_id: `old ${2 * i + 1}` }),
      (i) => ({ op: "reserve", amount: 1, idempotency_key: `old key ${2 * i + 1}` }),
      (i) => ({ op: "extend", ttl: 60, reservation_id: `none ${i}` }),
    ];
    await metered(ledger, await open(), async (atMost, sql) => {
      for (const size of [1, 10, 100, 400]) {
        const commands = Array.from({ length: size }, (_, i) => ({
          idempotency_key: `b${i}`,
          ...kinds[i % kinds.length]?.(i),
        }));
        await sql.unsafe("savepoint s");
        await atMost(onTop + FEW * size, `a batch of ${size}`, () => post(sql, "hot", commands));
        await sql.unsafe("rollback to s");
      }
    });
  });

  test("due reservations are read once, by the command or sweep that expires them", async () => {
    // Of another wallet 60 reservations come due, and 2,000 stay open.
    const w = { wallet_id: "due" };
    await ledger.admin`
      update baseledger.reservations
        set expires_at = now() - interval '1 minute' + substr(reservation_id, 6)::int
          * interval '1 second' + ascii(reservation_id) * interval '1 millisecond'
        where wallet_id = 'due' and reservation_id ~ '^(late|rest) '`;
    await ledger.admin`
      update baseledger.wallets set next_deadline = now() - interval '1 minute'
        where wallet_id = 'due'`;
    const due = 60;

    await using auditor = await ledger.session("auditor");
    await metered(ledger, auditor, async (atMost, sql) => {
      const now = { ...w, at: "infinity" };
      await atMost(2 * due + 4 * FEW, "balance_at", () => call(sql, "balance_at", now));
    });
    await using agent = await ledger.session("agent");
    await metered(ledger, agent, async (atMost, sql) => {
      await atMost(2 * due + FEW, "balance", () => call(sql, "balance", w));
      const settle = { ...w, reservation_id: "late 1", amount: 1n, idempotency_key: "l1" };
      const next = { ...settle, reservation_id: "late 2", idempotency_key: "l2" };
      await atMost(onTop + FEW * due, "the first", () => command(sql, "settle", settle));
      await atMost(FEW, "the next", () => command(sql, "settle", next));
    });
    await using worker = await ledger.session("worker");
    await metered(ledger, worker, async (atMost, sql) => {
      const sweep = (limit: bigint) => () => call(sql, "expire_due", { limit });
      await atMost(FEW, "next_due", () => call(sql, "next_due", {}));
      await atMost(onTop + FEW * 20, "a sweep of 20", sweep(20n));
      await atMost(onTop + FEW * (due - 20), "a sweep of the rest", sweep(1000n));
      await atMost(FEW, "a sweep of nothing", sweep(1000n));
    });
  });

  // Last, as a sweep reads what is due in all wallets.
  describe("beside many wallets", () => {
    beforeAll(() => coldWallets(ledger));

    test.each(sessions)(
      "batches of many wallets of %s read a few rows a command",
      async (_which, open) => {
        await metered(ledger, await open(), async (atMost, sql) => {
          for (const size of [1, 10, 100, 1000]) {
            await sql.unsafe("savepoint s");
            await atMost(2 * FEW * size, `a batch of ${size}`, async () => {
              const receipts = await postMany(sql, manyCommands(size));
              const refused = receipts.filter((each) => each.refused !== null);
              expect(refused.length).toBeLessThanOrEqual(0.4 * size);
            });
            await sql.unsafe("rollback to s");
          }
        });
      },
    );
  });
});
