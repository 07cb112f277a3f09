// Who may use a restricted wallet, by real connections: logins, roles that they set, keys, functions of
// the host, and who waits for the wallet's lock. test/pgtap/access/restricted.sql has the rules.
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  command,
  createLedger,
  digest,
  expectRefusal,
  failure,
  holdLock,
  openWallet,
  outcome,
  post,
  postMany,
  type Session,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";
import { templateServer } from "../support/server.ts";

let ledger: TestLedger;
const open: Session[] = [];
/** Roles belong to the server, on which other files of tests run as well. */
const ANN = "access_test_ann";
const BOB = "access_test_bob";
const SERVICE = "access_test_service";
const HOST = "access_test_host";

beforeAll(async () => {
  ledger = await createLedger();
  for (const name of [ANN, BOB, SERVICE, HOST]) {
    await ledger.admin.unsafe(
      `create role ${name} login password 'secret' in role baseledger_agent`,
    );
  }
  await ledger.admin.unsafe(`grant ${SERVICE} to ${ANN}, ${BOB}`);
  await ledger.admin.unsafe("grant create on schema public to public");
});
afterAll(async () => {
  await checkInvariants(ledger);
  await Promise.all(open.map(({ sql }) => sql.end({ timeout: 0 })));
  await ledger.admin.unsafe(`drop owned by ${[ANN, BOB, SERVICE, HOST].join(", ")}`);
  await ledger.admin.unsafe(`drop role ${[ANN, BOB, SERVICE, HOST].join(", ")}`);
  await ledger[Symbol.asyncDispose]();
});

let wallets = 0;
let walletId: string;
/** A new wallet for each test, to which only ann (as user ann) and the service have access. */
beforeEach(async () => {
  walletId = await openWallet(ledger, `w${++wallets}`, 1000n, { restricted: true });
  await operator("allow", { role: ANN, labels: { user: "ann" }, free_labels: "{run}" });
  await operator("allow", { role: SERVICE, free_labels: "{*}" });
});

const operator = (name: string, args: Arguments) =>
  command(ledger.operator, name, { wallet_id: walletId, ...args });

/** Opens a connection of a login. */
async function login(name: string, settings: Record<string, string> = {}): Promise<Session> {
  const url = new URL(templateServer().serverUrl);
  url.pathname = ledger.name;
  url.username = name;
  url.password = "secret";
  const sql = postgres(url.href, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connection: settings,
    types: { bigint: postgres.BigInt },
  }) as unknown as postgres.Sql;
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const session = {
    sql,
    pid: row?.pid ?? 0,
    [Symbol.asyncDispose]: () => sql.end({ timeout: 0 }),
  };
  open.push(session);
  return session;
}

let keys = 0;
/** Reserves with a new key. */
const reserve = (sql: postgres.Sql, args: Arguments = {}) =>
  command(sql, "reserve", {
    wallet_id: walletId,
    amount: 10n,
    idempotency_key: `k${++keys}`,
    ...args,
  });

/** The last event: who acted, and the labels, if they are not the metadata. */
async function lastEvent(): Promise<{ actor: string; labels: unknown }> {
  const [row] = await ledger.auditor<{ actor: string; labels: unknown }[]>`
    select actor, details -> 'labels' as labels from baseledger.journal
      where wallet_id = ${walletId} order by seq desc limit 1`;
  if (!row) throw new Error("no event");
  return row;
}

async function createKey(args: Arguments = {}): Promise<{ key_id: string; secret: string }> {
  const row = await command(ledger.operator, "create_key", { wallet_id: walletId, ...args });
  return row as unknown as { key_id: string; secret: string };
}

describe("the caller is", () => {
  test("the login, by its exact name", async () => {
    await using ann = await login(ANN);
    await reserve(ann.sql);
    expect(await lastEvent()).toEqual({ actor: ANN, labels: { user: "ann" } });
    await using bob = await login(BOB);
    // A member of a role that has a grant.
    await expectRefusal("LGWNF", reserve(bob.sql));
  });

  test("the role in effect, where the login has no grant", async () => {
    await using bob = await login(BOB);
    await bob.sql.unsafe(`set role ${SERVICE}`);
    await reserve(bob.sql, { metadata: { user: "ann" } });
    expect(await lastEvent()).toEqual({ actor: `${BOB} as ${SERVICE}`, labels: null });
    await bob.sql.unsafe("reset role");
    const { message } = await failure(reserve(bob.sql));
    expect(message).toBe(`wallet not found, or not open to ${BOB}: ${walletId}`);
    await bob.sql.unsafe("set role none");
    await expectRefusal("LGWNF", reserve(bob.sql));
    await expect(bob.sql.unsafe(`set role ${ANN}`)).rejects.toMatchObject({ code: "42501" });
    await bob.sql.unsafe(`begin; set local role ${SERVICE}`);
    await reserve(bob.sql);
    await bob.sql.unsafe("commit");
    await expectRefusal("LGWNF", reserve(bob.sql));
  });

  test("the login and not the role in effect, where both have a grant", async () => {
    await using ann = await login(ANN);
    await ann.sql.unsafe(`set role ${SERVICE}`);
    await reserve(ann.sql, { metadata: { user: "bob" } });
    expect(await lastEvent()).toEqual({
      actor: `${ANN} as ${SERVICE}`,
      labels: { user: "ann" },
    });
  });

  test("who a superuser says it is, and nobody else can say so", async () => {
    await using admin = await ledger.session("admin");
    await admin.sql.unsafe(`set session authorization ${ANN}`);
    await reserve(admin.sql);
    expect(await lastEvent()).toEqual({ actor: ANN, labels: { user: "ann" } });
    await admin.sql.unsafe(`set session authorization ${BOB}`);
    await expectRefusal("LGWNF", reserve(admin.sql));
    await using bob = await login(BOB);
    const attempt = bob.sql.unsafe(`set session authorization ${ANN}`);
    await expect(attempt).rejects.toMatchObject({ code: "42501" });
    await expectRefusal("LGWNF", reserve(bob.sql));
  });

  test("not the owner of a function of the host, but who has called it", async () => {
    await using service = await login(SERVICE);
    await service.sql.unsafe(`
      create or replace function public.spend(p_wallet_id text, p_key text)
        returns baseledger.receipt language sql security definer
        as 'select baseledger.charge(p_wallet_id, 1, p_key)'`);
    const spend = (sql: postgres.Sql) => sql`select public.spend(${walletId}, ${`s${++keys}`})`;
    await spend(service.sql);
    await using bob = await login(BOB);
    await expectRefusal("LGWNF", spend(bob.sql));
    await using ann = await login(ANN);
    await spend(ann.sql);
    expect(await lastEvent()).toEqual({ actor: ANN, labels: { user: "ann" } });
    await spend(ledger.operator);
  });

  test("the key that a function of the host has, while it runs", async () => {
    const { key_id, secret } = await createKey({ labels: { via: "host" } });
    // Only a superuser, or who has the right to set it, can keep a setting of this kind.
    await ledger.admin.unsafe(`
      create or replace function public.spend_by_key(p_wallet_id text, p_key text)
        returns baseledger.receipt language sql security definer
        set baseledger.key = '${secret}'
        as 'select baseledger.charge(p_wallet_id, 1, p_key)';
      alter function public.spend_by_key(text, text) owner to ${HOST}`);
    await using bob = await login(BOB);
    await bob.sql`select public.spend_by_key(${walletId}, ${`s${++keys}`})`;
    expect(await lastEvent()).toEqual({
      actor: `${BOB} with key ${key_id}`,
      labels: { via: "host" },
    });
    await expectRefusal("LGWNF", reserve(bob.sql));
  });
});

describe("a key", () => {
  test("counts until the transaction ends, for which it was set", async () => {
    const { key_id, secret } = await createKey({ labels: { user: "eve" } });
    await using bob = await login(BOB);
    await bob.sql`begin`;
    await bob.sql`select set_config('baseledger.key', ${secret}, true)`;
    await reserve(bob.sql);
    await bob.sql`commit`;
    expect(await lastEvent()).toEqual({
      actor: `${BOB} with key ${key_id}`,
      labels: { user: "eve" },
    });
    await expectRefusal("LGWNF", reserve(bob.sql));
  });

  test("can be set for a connection", async () => {
    const { secret } = await createKey();
    await using bob = await login(BOB, { "baseledger.key": secret });
    await reserve(bob.sql);
    await bob.sql`set baseledger.key = ''`;
    await expectRefusal("LGWNF", reserve(bob.sql));
    await bob.sql`reset baseledger.key`;
    await reserve(bob.sql);
  });

  test("comes before the grants of the login, also when it is wrong", async () => {
    const { secret } = await createKey({ labels: { user: "eve" } });
    const other = await openWallet(ledger, `other${wallets}`, 10n);
    const [theirs] = await ledger.operator<{ secret: string }[]>`
      select secret from baseledger.create_key(${other})`;
    await using ann = await login(ANN);
    await ann.sql`select set_config('baseledger.key', ${secret}, false)`;
    await reserve(ann.sql);
    expect(await lastEvent()).toMatchObject({ labels: { user: "eve" } });
    const wrong = [
      secret.slice(0, -1),
      `${secret}x`,
      secret.toUpperCase(),
      ` ${secret}`,
      "x",
      theirs?.secret ?? "",
    ];
    for (const given of wrong) {
      await ann.sql`select set_config('baseledger.key', ${given}, false)`;
      await expectRefusal("LGWNF", reserve(ann.sql));
      await expectRefusal("LGWNF", command(ann.sql, "balance", { wallet_id: walletId }));
    }
    await ann.sql`reset baseledger.key`;
    await reserve(ann.sql);
  });

  test("of which the wallet has only the hash opens nothing by it", async () => {
    const { secret } = await createKey();
    const [stored] = await ledger.admin<{ hash: string }[]>`
      select encode(secret_sha256, 'hex') as hash from baseledger.keys
        where wallet_id = ${walletId}`;
    await using bob = await login(BOB);
    for (const given of [stored?.hash ?? "", `bl_${stored?.hash}`, `\\x${stored?.hash}`]) {
      await bob.sql`select set_config('baseledger.key', ${given}, false)`;
      await expectRefusal("LGWNF", reserve(bob.sql));
    }
    await bob.sql`select set_config('baseledger.key', ${secret}, false)`;
    await reserve(bob.sql);
  });
});

describe("a stranger", () => {
  /** Everything that an agent can ask of a wallet. */
  const calls: [string, Arguments][] = [
    ["reserve", { amount: 1n, idempotency_key: "x" }],
    ["charge", { amount: 1n, idempotency_key: "x" }],
    ["charge", { amount: 1n, idempotency_key: "x", already_spent: true }],
    ["settle", { reservation_id: "theirs", amount: 1n, idempotency_key: "x" }],
    ["cancel", { reservation_id: "theirs", idempotency_key: "x" }],
    ["extend", { reservation_id: "theirs", ttl: "1 hour", idempotency_key: "x" }],
    ["settle", { reservation_id: "none", amount: 1n, idempotency_key: "x" }],
    ["reserve", { amount: 10n, idempotency_key: "theirs" }],
    ["post", { commands: [] }],
    ["post", { commands: [{ op: "reserve", amount: 1, idempotency_key: "x" }] }],
    ["balance", {}],
    ["limits", {}],
    ["reservation", { reservation_id: "theirs" }],
    ["receipt", { idempotency_key: "theirs" }],
  ];

  test.each(calls)("gets the same as of an unknown wallet: %s %o", async (name, args) => {
    await using ann = await login(ANN);
    await reserve(ann.sql, { idempotency_key: "theirs" });
    await using bob = await login(BOB);
    const before = await digest(ledger);
    const parts = async (id: string) => {
      const error = await failure(command(bob.sql, name, { wallet_id: id, ...args }));
      const { code, message, detail, hint, where } = error as postgres.PostgresError;
      return JSON.stringify({ code, message, detail, hint, where }).replaceAll(id, "$");
    };
    const forbidden = await parts(walletId);
    expect(forbidden).toContain("LGWNF");
    expect(forbidden).toBe(await parts("nobody"));
    expect(await digest(ledger)).toBe(before);
  });

  test("gets the same in a batch over several wallets", async () => {
    await using bob = await login(BOB);
    const refusals = async (id: string) => {
      const receipts = await postMany(
        bob.sql,
        calls
          .filter(([name]) => /^(reserve|charge|settle|cancel|extend)$/.test(name))
          .map(([op, args]) => ({ op, wallet_id: id, ...args, ...(args.ttl ? { ttl: 60 } : {}) })),
      );
      return JSON.stringify(receipts).replaceAll(id, "$");
    };
    expect(await refusals(walletId)).toBe(await refusals("nobody"));
  });

  test("neither waits for the wallet's lock, nor holds it", async () => {
    await using bob = await login(BOB);
    const asAll = async () => {
      for (const [name, args] of calls) {
        await bob.sql`savepoint s`;
        await expectRefusal("LGWNF", command(bob.sql, name, { wallet_id: walletId, ...args }));
        await bob.sql`rollback to savepoint s`;
      }
      const receipts = await postMany(bob.sql, [
        { wallet_id: walletId, op: "reserve", amount: 1, idempotency_key: "x" },
        { wallet_id: walletId, op: "cancel", reservation_id: "none", idempotency_key: "y" },
      ]);
      expect(receipts.map(({ refused }) => refused)).toEqual(["LGWNF", "LGWNF"]);
    };
    const unlock = await holdLock(ledger, walletId);
    await bob.sql`begin`;
    await bob.sql`set local lock_timeout = '1ms'`;
    await asAll();
    await bob.sql`rollback`;
    await unlock();
    await bob.sql`begin`;
    await asAll();
    const [free] = await ledger.admin`
      select from baseledger.wallets where wallet_id = ${walletId} for update nowait`;
    expect(free).toBeDefined();
    await bob.sql`rollback`;
  });
});

describe("access that is taken back", () => {
  /** Sends a command that waits for the lock, behind another one that is sent before it. */
  async function afterThat(
    change: (sql: postgres.Sql) => Promise<unknown>,
    waiting: Session,
    send: (sql: postgres.Sql) => Promise<unknown>,
  ): Promise<unknown> {
    const unlock = await holdLock(ledger, walletId);
    await using first = await ledger.session("operator");
    const changed = change(first.sql);
    await untilWaiting(ledger, first);
    const sent = outcome(send(waiting.sql));
    await untilWaiting(ledger, waiting);
    await unlock();
    await changed;
    return sent;
  }

  test("while the command waits for the lock, is gone when it has it", async () => {
    await using ann = await login(ANN);
    const disallow = (sql: postgres.Sql) =>
      command(sql, "disallow", { wallet_id: walletId, role: ANN });
    expect(await afterThat(disallow, ann, (sql) => reserve(sql))).toEqual({ code: "LGWNF" });
  });

  test("is gone for a batch, and its lock is given back", async () => {
    await using ann = await login(ANN);
    const disallow = (sql: postgres.Sql) =>
      command(sql, "disallow", { wallet_id: walletId, role: ANN });
    await ann.sql`begin`;
    await ann.sql`savepoint s`;
    const send = (sql: postgres.Sql) =>
      post(sql, walletId, [{ op: "reserve", amount: 1, idempotency_key: "x" }]);
    expect(await afterThat(disallow, ann, send)).toEqual({ code: "LGWNF" });
    await ann.sql`rollback to savepoint s`;
    const [free] = await ledger.admin`
      select from baseledger.wallets where wallet_id = ${walletId} for update nowait`;
    expect(free).toBeDefined();
    await ann.sql`rollback`;
  });

  test("with the labels, counts by the new ones", async () => {
    await using ann = await login(ANN);
    const relabel = (sql: postgres.Sql) =>
      command(sql, "allow", { wallet_id: walletId, role: ANN, labels: { user: "new" } });
    await afterThat(relabel, ann, (sql) => reserve(sql, { metadata: { run: "7" } }));
    expect(await lastEvent()).toEqual({ actor: ANN, labels: { user: "new" } });
  });

  test("from a key", async () => {
    const { key_id, secret } = await createKey();
    await using bob = await login(BOB, { "baseledger.key": secret });
    const revoke = (sql: postgres.Sql) =>
      command(sql, "revoke_key", { wallet_id: walletId, key_id });
    expect(await afterThat(revoke, bob, (sql) => reserve(sql))).toEqual({ code: "LGWNF" });
  });

  test("from everybody, as the wallet is restricted", async () => {
    walletId = await openWallet(ledger, `open${wallets}`, 100n);
    await using bob = await login(BOB);
    await reserve(bob.sql, { idempotency_key: "own" });
    const allow = (sql: postgres.Sql) => command(sql, "allow", { wallet_id: walletId, role: ANN });
    expect(await afterThat(allow, bob, (sql) => reserve(sql))).toEqual({ code: "LGWNF" });
    // What he has opened before can be settled.
    const own = { wallet_id: walletId, reservation_id: "own", idempotency_key: "s" };
    await command(bob.sql, "settle", { ...own, amount: 10n });
  });

  test("leaves what was opened to who has opened it, by the same login, role and key", async () => {
    const { key_id, secret } = await createKey();
    await using ann = await login(ANN);
    await using bob = await login(BOB, { "baseledger.key": secret });
    await reserve(ann.sql, { idempotency_key: "a" });
    await reserve(bob.sql, { idempotency_key: "b" });
    await operator("disallow", { role: ANN });
    await operator("revoke_key", { key_id });
    const settle = (sql: postgres.Sql, id: string) =>
      command(sql, "settle", {
        wallet_id: walletId,
        reservation_id: id,
        amount: 4n,
        idempotency_key: `${id} settled`,
      });
    await expectRefusal("LGWNF", settle(ann.sql, "b"));
    await expectRefusal("LGWNF", settle(bob.sql, "a"));
    await bob.sql`set baseledger.key = ''`;
    await expectRefusal("LGWNF", settle(bob.sql, "b"));
    await bob.sql`reset baseledger.key`;
    expect(await settle(ann.sql, "a")).toMatchObject({ event: "settled", replayed: false });
    expect(await settle(ann.sql, "a")).toMatchObject({ event: "settled", replayed: true });
    expect(await settle(bob.sql, "b")).toMatchObject({ event: "settled", replayed: false });
    await ann.sql.unsafe(`set role ${SERVICE}`);
    expect(await settle(ann.sql, "b")).toMatchObject({ event: "settled", replayed: true });
  });
});

test("a name that is dropped and made again has what it had", async () => {
  await using ann = await login(ANN);
  await ann.sql.end();
  await ledger.admin.unsafe(`drop owned by ${ANN}; drop role ${ANN};
    create role ${ANN} login password 'secret' in role baseledger_agent, ${SERVICE}`);
  await using again = await login(ANN);
  await reserve(again.sql);
  expect(await lastEvent()).toEqual({ actor: ANN, labels: { user: "ann" } });
});
