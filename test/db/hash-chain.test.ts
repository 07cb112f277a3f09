import { createHash } from "node:crypto";
import type postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFullJournal } from "../support/full-journal.ts";
import { checkInvariants } from "../support/invariants.ts";
import { digest, post, type TestLedger } from "../support/ledger.ts";

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

describe("the chain, computed by another program", () => {
  interface Line {
    readonly wallet_id: string;
    readonly seq: bigint;
    readonly hash: string;
    readonly fields: (string | null)[];
  }
  const BYTEA = 17;
  const INT8 = 20;
  const TIMESTAMPTZ = 1184;
  const TYPES = [
    ...[BYTEA, INT8, BYTEA, BYTEA, INT8, INT8, INT8, INT8],
    ...[TIMESTAMPTZ, TIMESTAMPTZ, BYTEA, BYTEA, BYTEA, BYTEA],
  ];

  /** PostgreSQL's binary form of a row: the number of columns, and each with type and length. */
  function encode(fields: readonly (string | null)[]): Buffer {
    const parts = fields.map((field, i) => {
      const type = TYPES[i] ?? 0;
      if (field === null) return Buffer.concat([int32(type), int32(-1)]);
      const bytes = type === BYTEA ? Buffer.from(field, "utf8") : int64(BigInt(field));
      return Buffer.concat([int32(type), int32(bytes.length), bytes]);
    });
    return Buffer.concat([int32(fields.length), ...parts]);
  }

  function int32(value: number): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  }

  function int64(value: bigint): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  }

  /** Each wallet's events as the view shows them, times in microseconds since the year 2000. */
  async function journal(sql: postgres.Sql): Promise<Line[]> {
    const micros = (column: string) =>
      `((extract(epoch from ${column}) - extract(epoch from timestamptz '2000-01-01 00:00:00+00'))
        * 1000000)::bigint::text`;
    const rows = await sql.unsafe<(Omit<Line, "fields"> & Record<string, string>)[]>(
      `select wallet_id, seq, encode(hash, 'hex') as hash,
          wallet_id as f0, seq::text as f1, event::text as f2, reservation_id as f3,
          amount::text as f4, available::text as f5, reserved::text as f6, spent::text as f7,
          ${micros("expires_at")} as f8, ${micros("occurred_at")} as f9,
          idempotency_key as f10, actor as f11, metadata::text as f12, details::text as f13
        from baseledger.journal order by wallet_id, seq`,
    );
    return rows.map((row) => ({ ...row, fields: TYPES.map((_, i) => row[`f${i}`] ?? null) }));
  }

  /** The events whose hash is not the one that this program computes. */
  function wrong(lines: readonly Line[]): string[] {
    let hash = Buffer.alloc(32);
    return lines.flatMap((line) => {
      if (line.seq === 1n) hash = Buffer.alloc(32);
      hash = createHash("sha256").update(hash).update(encode(line.fields)).digest();
      return hash.toString("hex") === line.hash ? [] : [`${line.wallet_id} ${line.seq}`];
    });
  }

  test("is the same for every event", async () => {
    const lines = await journal(ledger.auditor);
    expect(lines.length).toBeGreaterThan(25);
    expect(wrong(lines)).toEqual([]);
    const [line] = lines;
    if (line) line.fields[11] = "somebody else";
    expect(wrong(lines)).toHaveLength(lines.filter(({ wallet_id }) => wallet_id === "a").length);
  });

  const odd = [
    "ünïcödé ♥ 世界 🪙",
    "ﬀ e\u0301 é",
    'line\nbreak\tand "quotes" \'n \\ {}',
    "x \u200b x",
  ];
  const settings: [string, Record<string, string>][] = [
    ["ordinary settings", {}],
    ["client_encoding", { client_encoding: "LATIN1" }],
    ["another client_encoding", { client_encoding: "SQL_ASCII" }],
    ["DateStyle and IntervalStyle", { DateStyle: "German", IntervalStyle: "postgres_verbose" }],
    ["TimeZone", { TimeZone: "America/St_Johns" }],
    ["extra_float_digits", { extra_float_digits: "-15" }],
    ["bytea_output", { bytea_output: "escape" }],
  ];
  test.each(settings)("is the same for events written under %s", async (name, values) => {
    // In a transaction that is rolled back, as the other tests compare the journal.
    const { sql } = await ledger.session("admin");
    await sql.unsafe("begin");
    for (const [setting, value] of Object.entries(values)) {
      await sql.unsafe(`set local ${setting} = '${value}'`);
    }
    for (const text of values.client_encoding ? ["plain", "\u00e9 \u00e4"] : odd) {
      const id = `${name} ${text}`;
      await sql`select baseledger.open_wallet(${id}, ${text}, 2, null, '{"n": 1.50}'::jsonb)`;
      await sql`
        select baseledger.credit(${id}, 9223372036854775807, ${text},
          jsonb_build_object('text', ${text}::text, 'number', 0.1 + 1e20, 'list', '[[]]'::jsonb))`;
      await sql`
        select baseledger.reserve(${id}, 5, 'r', '61.5 seconds', ${`${text}r`}, 2,
          '{"é": "\u00ff"}')`;
      await sql`select baseledger.freeze_wallet(${id}, ${text})`;
    }
    await sql.unsafe("set local client_encoding = 'UTF8'; reset all");
    expect(await sql`select * from baseledger.verify()`).toEqual([]);
    const lines = await journal(sql);
    const news = lines.filter(({ wallet_id }) => wallet_id.startsWith(name));
    expect(news.length).toBeGreaterThanOrEqual(8);
    expect(wrong(lines)).toEqual([]);
    await sql.unsafe("rollback");
    await sql.end();
  });

  test("verify finds nothing under any of these settings", async () => {
    for (const [, values] of settings) {
      await using auditor = await ledger.session("auditor");
      for (const [setting, value] of Object.entries(values)) {
        await auditor.sql.unsafe(`set ${setting} = '${value}'`);
      }
      expect(await auditor.sql`select * from baseledger.verify()`).toEqual([]);
    }
  });
});

test("a batch writes one hash for each of its events", async () => {
  const hashes = async (write: (sql: postgres.Sql) => Promise<unknown>) => {
    const { sql } = await ledger.session("admin");
    await sql.unsafe("begin");
    await write(sql);
    const rows = await sql<{ n: bigint }[]>`
      select count(distinct hash) as n from baseledger.events where wallet_id = 'c'`;
    expect(await sql`select * from baseledger.verify('c')`).toEqual([]);
    await sql.unsafe("rollback");
    await sql.end();
    return rows[0]?.n;
  };
  const commands = Array.from({ length: 50 }, (_, i) => ({
    op: i % 2 ? "settle" : "reserve",
    amount: 3,
    idempotency_key: `k${i}`,
    ...(i % 2 ? { reservation_id: `k${i - 1}` } : {}),
  }));
  expect(await hashes((sql) => post(sql, "c", commands))).toBe(52n);
});
