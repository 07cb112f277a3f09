import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as errors from "../../src/errors/index.ts";
import * as ledger from "../../src/generated/index.ts";
import { dbSources } from "../support/db-sources.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const db = join(import.meta.dirname, "..", "..", "db");
const { ERROR_CODES, LedgerError, refusalToError, toLedgerError } = errors;

/** An error as `postgres` throws it. */
function thrown(code: string, detail: unknown, hint = "Do something."): Error {
  const fields = { code, detail: JSON.stringify(detail), hint, message: "refused" };
  const PostgresError = postgres.PostgresError as unknown as new (fields: object) => Error;
  return new PostgresError(fields);
}

const insufficient = {
  requested: 120,
  available: 20,
  reserved: 100,
  shortfall: 100,
  reason: "held",
  retry_at: "2026-03-01T12:00:00.5+00:00",
};

describe("toLedgerError", () => {
  test("makes the class of the SQLSTATE, with the fields of the database's error", () => {
    const cause = thrown("LGNSF", insufficient);
    const error = toLedgerError(cause);
    expect(error).toBeInstanceOf(errors.InsufficientFundsError);
    expect(error).toMatchObject({
      name: "InsufficientFundsError",
      code: "LGNSF",
      message: "refused",
      hint: "Do something.",
      requested: 120n,
      available: 20n,
      reserved: 100n,
      shortfall: 100n,
      reason: "held",
      retryAt: new Date("2026-03-01T12:00:00.500Z"),
    });
    expect((error as Error).cause).toBe(cause);
  });

  test("gives the same fields as detail", () => {
    const error = toLedgerError(thrown("LGNSF", insufficient)) as errors.InsufficientFundsError;
    const { detail } = error;
    const shortfall: bigint = detail.shortfall;
    expect(shortfall).toBe(100n);
    expect(Object.keys(detail)).toEqual([
      "requested",
      "available",
      "reserved",
      "shortfall",
      "reason",
      "retryAt",
    ]);
  });

  test("reads the errors of node-postgres", () => {
    const error = Object.assign(new Error("refused"), {
      code: "LGWNF",
      detail: '{"wallet_id": "w"}',
      hint: undefined,
    });
    expect(toLedgerError(error)).toMatchObject({ code: "LGWNF", walletId: "w", hint: null });
  });

  test("reads amounts exactly, as JSON numbers or strings", () => {
    const cause = Object.assign(new Error(), {
      code: "LGNSF",
      detail: '{"requested": 9223372036854775807, "available": "-9007199254740993"}',
    });
    expect(toLedgerError(cause)).toMatchObject({
      requested: 9223372036854775807n,
      available: -9007199254740993n,
    });
  });

  test("reads a reused key's amounts as bigint, its other fields as they are", () => {
    const amount = thrown("LGIDK", { field: "amount", stored: 5, given: 6 });
    expect(toLedgerError(amount)).toMatchObject({ field: "amount", stored: 5n, given: 6n });
    const ttl = thrown("LGIDK", { field: "ttl", stored: 600, given: null });
    expect(toLedgerError(ttl)).toMatchObject({ field: "ttl", stored: 600, given: null });
  });

  test.each([undefined, "", "cut sho", "null", "[]", "7"])("survives the detail %j", (detail) => {
    const error = toLedgerError(Object.assign(new Error("refused"), { code: "LGEND", detail }));
    expect(error).toBeInstanceOf(errors.ReservationEndedError);
    expect(error).toMatchObject({ message: "refused", detail: {} });
  });

  test("makes the base class of a refusal that is newer than these classes", () => {
    const error = toLedgerError(thrown("LGZZZ", { some_field: 1 }));
    expect(error).toBeInstanceOf(LedgerError);
    expect(error).toMatchObject({ name: "LedgerError", code: "LGZZZ", detail: { someField: 1 } });
  });

  test("leaves everything else as it is", () => {
    const refused = new errors.WalletFrozenError("LGFRZ", { message: "frozen" });
    for (const error of [thrown("23505", {}), new Error("no"), refused, null, undefined, "LGNSF"]) {
      expect(toLedgerError(error)).toBe(error);
    }
  });
});

test("a limit that is reached says which, and when more may be spent", () => {
  const detail = {
    limit_id: "day",
    values: ["ann"],
    per: "day",
    of: "amount",
    amount: 100,
    used: 90,
    held: 30,
    requested: 50,
    shortfall: 40,
    reason: "exhausted",
    retry_at: null,
    resets_at: "2026-03-02T00:00:00+00:00",
  };
  const error = refusalToError({ refused: "LGLIM", detail });
  expect(error).toBeInstanceOf(errors.LimitReachedError);
  expect(error).toMatchObject({
    limitId: "day",
    values: ["ann"],
    per: "day",
    of: "amount",
    amount: 100n,
    used: 90n,
    held: 30n,
    requested: 50n,
    shortfall: 40n,
    reason: "exhausted",
    retryAt: null,
    resetsAt: new Date("2026-03-02T00:00:00Z"),
  });
  expect(error.message).toBe(
    'limit reached: limitId day, values ["ann"], per day, of amount, amount 100, used 90, held 30, ' +
      "requested 50, shortfall 40, reason exhausted, resetsAt 2026-03-02T00:00:00.000Z",
  );
});

test("usage without a price says what is missing", () => {
  const detail = {
    reason: "currency",
    model: "a/b",
    variant: "flex",
    currency: "EUR",
    unit: "USD",
  };
  const error = refusalToError({ refused: "LGPRC", detail });
  expect(error).toBeInstanceOf(errors.PriceNotFoundError);
  expect(error).toMatchObject(detail);
  expect(error.message).toBe(
    "no price: reason currency, model a/b, variant flex, currency EUR, unit USD",
  );
});

describe("refusalToError", () => {
  test("makes the same class of a refused receipt, with the detail in its message", () => {
    const error = refusalToError({ refused: "LGNSF", detail: { ...insufficient, retry_at: null } });
    expect(error).toBeInstanceOf(errors.InsufficientFundsError);
    expect(error).toMatchObject({ code: "LGNSF", shortfall: 100n, retryAt: null, hint: null });
    expect(error.message).toBe(
      "insufficient funds: requested 120, available 20, reserved 100, shortfall 100, reason held",
    );
  });

  test("formats nested values and times", () => {
    const detail = { field: "metadata", stored: { run: 12345678901234567890n }, given: {} };
    expect(refusalToError({ refused: "LGIDK", detail }).message).toContain(
      'stored {"run":12345678901234567890}, given {}',
    );
    const expired = { reservation_id: "r", expired_at: "2026-03-01T12:00:00+00:00" };
    expect(refusalToError({ refused: "LGEXP", detail: expired }).message).toBe(
      "reservation is past its deadline: reservationId r, expiredAt 2026-03-01T12:00:00.000Z",
    );
  });

  test("throws for a granted command", () => {
    expect(() => refusalToError({ refused: null, detail: null })).toThrow(TypeError);
  });
});

test("an error can be logged as JSON", () => {
  const error = toLedgerError(thrown("LGNSF", insufficient));
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    name: "InsufficientFundsError",
    code: "LGNSF",
    message: "refused",
    hint: "Do something.",
    detail: {
      requested: "120",
      available: "20",
      reserved: "100",
      shortfall: "100",
      reason: "held",
      retryAt: "2026-03-01T12:00:00.500Z",
    },
  });
  const nested = { field: "metadata", stored: { run: 2n ** 70n }, given: {} };
  expect(JSON.stringify(refusalToError({ refused: "LGIDK", detail: nested }))).toContain(
    '"stored":{"run":"1180591620717411303424"}',
  );
});

/** The rows of the catalogue: each code, with the fields of its detail. */
function readCatalogue(): [code: string, fields: string[]][] {
  const rows = readFileSync(join(db, "ERRORS.md"), "utf8").matchAll(/^\| `(LG\w+)` \|(.*)$/gm);
  return [...rows].map(([, code = "", row = ""]) => {
    const [, listed = ""] = /`detail`:((?:,? `\w+`)+)/.exec(row) ?? [];
    const fields = [...listed.matchAll(/\w+/g)].map(([name]) =>
      name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    );
    return [code, fields];
  });
}

describe("the catalogue", () => {
  test("has a class of its own for each code", () => {
    const made = ERROR_CODES.map((code) => toLedgerError(thrown(code, {})) as errors.LedgerError);
    expect(made.map(({ code }) => code)).toEqual(ERROR_CODES);
    const classes = new Set(made.map((error) => error.constructor));
    expect(classes.size).toBe(ERROR_CODES.length);
    expect(classes).not.toContain(LedgerError);
  });

  test("is the one of db/ERRORS.md", () => {
    const codes = readCatalogue().map(([code]) => code);
    expect(codes.sort()).toEqual([...ERROR_CODES]);
  });

  test("is the one of the SQL functions", () => {
    const sources = dbSources("functions").map(({ text }) => text);
    const code = sources.join("\n").replace(/--.*$/gm, "");
    const raised = new Set([...code.matchAll(/'(LG[A-Z]{3})'/g)].map(([, code]) => code));
    expect([...raised].sort()).toEqual([...ERROR_CODES]);
  });
});

describe("a refusal of the database", () => {
  let database: TestDatabase;
  let owner: postgres.Sql;
  let operator: postgres.Sql;

  beforeAll(async () => {
    database = await createDatabase();
    owner = postgres(database.url, { max: 1 });
    operator = postgres(database.url, { max: 1, connection: { role: "baseledger_operator" } });
    await ledger.openWallet(operator, { walletId: "w", overdraftLimit: 0n });
    await ledger.credit(operator, { walletId: "w", amount: 1_000n, idempotencyKey: "credit" });
    for (const idempotencyKey of ["ended", "late", "open"]) {
      await ledger.reserve(operator, { walletId: "w", amount: 100n, idempotencyKey });
    }
    const settled = { walletId: "w", reservationId: "ended", idempotencyKey: "settle" };
    await ledger.settle(operator, { ...settled, amount: 60n });
    await owner`update baseledger.reservations set expires_at = now() where reservation_id = 'late'`;
    await owner`update baseledger.wallets set next_deadline = now()`;
    await ledger.openWallet(operator, { walletId: "frozen" });
    await ledger.freezeWallet(operator, { walletId: "frozen", reason: "stop" });
    await ledger.openWallet(operator, { walletId: "closed" });
    await ledger.closeWallet(operator, { walletId: "closed", reason: "end" });
    await ledger.openWallet(operator, { walletId: "limited" });
    await ledger.credit(operator, { walletId: "limited", amount: 9n, idempotencyKey: "credit" });
    const limit = { limitId: "day", amount: 5n, per: "day", by: ["run"] };
    await ledger.setLimit(operator, { walletId: "limited", ...limit });
    await ledger.charge(operator, { walletId: "limited", amount: 3n, idempotencyKey: "charge" });
  });

  afterAll(async () => {
    await Promise.all([owner.end(), operator.end()]);
    await database.drop();
  });

  const w = (idempotencyKey: string) => ({ walletId: "w", idempotencyKey });
  const commands: { readonly [C in errors.ErrorCode]: () => Promise<unknown> } = {
    LGARG: () => ledger.credit(operator, { ...w("a"), amount: 0n }),
    LGBSY: async () => {
      const other = postgres(database.url, { max: 1 });
      try {
        return await other.begin(async (tx) => {
          await tx`select from baseledger.wallets where wallet_id = 'w' for no key update`;
          const [refused] = await ledger.postMany(operator, {
            commands: [{ op: "charge", wallet_id: "w", idempotency_key: "k", amount: 1n }],
          });
          throw refused && refusalToError(refused);
        });
      } finally {
        await other.end();
      }
    },
    LGCLO: () => ledger.reserve(operator, { ...w("k"), walletId: "closed", amount: 1n }),
    LGEND: () => ledger.cancel(operator, { ...w("b"), reservationId: "ended" }),
    LGEXP: () => ledger.cancel(operator, { ...w("c"), reservationId: "late" }),
    LGFRZ: () => ledger.reserve(operator, { ...w("d"), walletId: "frozen", amount: 1n }),
    LGIDK: () => ledger.credit(operator, { ...w("credit"), amount: 2n }),
    LGIMM: () =>
      owner`delete from baseledger.events`.catch((e) => Promise.reject(toLedgerError(e))),
    LGLIM: () => ledger.charge(operator, { ...w("l"), walletId: "limited", amount: 3n }),
    LGNSF: () => ledger.reserve(operator, { ...w("e"), amount: 900n }),
    LGOVD: () => ledger.settle(operator, { ...w("f"), reservationId: "open", amount: 2_000n }),
    LGOVF: () => ledger.credit(operator, { ...w("g"), amount: 2n ** 63n - 1n }),
    LGPRC: () =>
      ledger.reserve(operator, { ...w("p"), usage: { model: "nobody/model", input: 1 } }),
    LGRFD: () => ledger.refund(operator, { ...w("h"), reservationId: "ended", amount: 61n }),
    LGRID: () => ledger.reserve(operator, { ...w("i"), reservationId: "ended", amount: 1n }),
    LGRNF: () => ledger.cancel(operator, { ...w("j"), reservationId: "none" }),
    LGUNK: async () => {
      const [refused] = await ledger.post(operator, {
        walletId: "w",
        commands: [{ op: "spend" } as never],
      });
      throw refused && refusalToError(refused);
    },
    LGWNF: () => ledger.balance(operator, { walletId: "none" }),
  };
  const amounts =
    "requested available reserved spent shortfall wouldBe overdraftLimit refundable amount used held".split(
      " ",
    );

  test.each(Object.entries(commands))("%s has the detail of db/ERRORS.md", async (code, send) => {
    const error = await send().then(
      () => expect.unreachable(),
      (refused: errors.LedgerError) => refused,
    );
    expect(error).toMatchObject({ code, message: expect.stringMatching(/\w/) });
    const [, fields] = readCatalogue().find(([listed]) => listed === code) ?? [];
    expect(Object.keys(error.detail).sort()).toEqual(fields?.sort());
    for (const [name, value] of Object.entries(error.detail)) {
      if (amounts.includes(name)) expect([name, typeof value]).toEqual([name, "bigint"]);
      // Of a limit that is exhausted, no reservation comes due.
      if (name.endsWith("At") && !(code === "LGLIM" && name === "retryAt"))
        expect([name, value]).toEqual([name, expect.any(Date)]);
    }
  });
});
