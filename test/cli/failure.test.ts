import { execFile } from "node:child_process";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CommandError, failureOf } from "../../src/cli/failure.ts";
import { charge, credit, openWallet, refund, reserve, settle } from "../../src/generated/index.ts";
import { baseledger, type Ended, MAIN, start } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let env: Record<string, string>;
let sql: postgres.Sql;
let logins: string[];

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  await openWallet(sql, { walletId: "acme", overdraftLimit: 1_000_000_000n });
  await credit(sql, { walletId: "acme", amount: 5_000_000_000n, idempotencyKey: "c" });
  logins = ["stranger", "agent", "auditor"].map((name) => `${name}_of_${database.name}`);
  for (const login of logins) await sql.unsafe(`create role ${login} login password 'secret'`);
  await sql.unsafe(`grant baseledger_agent to ${logins[1]};
    grant baseledger_auditor to ${logins[2]};
    alter role ${logins[2]} set statement_timeout = '300ms'`);
});

afterAll(async () => {
  for (const login of logins) await sql.unsafe(`drop role ${login}`);
  await sql.end();
  await database.drop();
});

function as(role: number): readonly string[] {
  const url = new URL(database.url);
  url.username = logins[role] ?? "";
  url.password = "secret";
  return ["--url", url.href];
}

function expectOneLine({ stderr }: Ended): void {
  expect(stderr).toMatch(/^baseledger: [^\n]+\n$/);
  expect(stderr).not.toContain("    at ");
}

describe("a refusal", () => {
  const usd = { unit: "USD", scale: 9 };
  const key = (idempotencyKey: string) => ({ walletId: "acme", idempotencyKey });
  const describeRefusal = async (command: Promise<unknown>): Promise<string | undefined> => {
    const cause = await command.then(
      () => undefined,
      (error: unknown) => error,
    );
    return failureOf(new CommandError(cause, { denomination: usd, again: "" }))?.line;
  };

  test("has amounts in the wallet's unit", async () => {
    await charge(sql, { amount: 1_800_000_000n, ...key("spent") });
    await reserve(sql, { amount: 500_000_000n, ttl: "1 day", ...key("held") });
    expect(await describeRefusal(reserve(sql, { amount: 5_000_000_000n, ...key("r") }))).toMatch(
      /^insufficient funds: 5\.00 USD asked for, 2\.70 USD available, 0\.50 USD reserved \(LGNSF/,
    );
    expect(await describeRefusal(reserve(sql, { amount: 3_000_000_000n, ...key("r") }))).toMatch(
      /0\.50 USD reserved; the next of it is due at \d{4}-.*Z \(LGNSF\)\. Hint: Open/,
    );
    const much = { reservationId: "held", amount: 9_000_000_000n };
    expect(await describeRefusal(settle(sql, { ...much, ...key("s") }))).toMatch(
      /available would be -5\.80 USD, the limit is 1\.00 USD \(LGOVD\)/,
    );
    const back = { reservationId: "spent", amount: 2_500_000_000n };
    expect(await describeRefusal(refund(sql, { ...back, ...key("b") }))).toMatch(
      /^refund of 2\.50 USD exceeds the 1\.80 USD that reservation spent has settled/,
    );
    expect(await describeRefusal(credit(sql, { amount: 6_000_000_000n, ...key("c") }))).toMatch(
      /another amount: stored 5\.00 USD, given 6\.00 USD \(LGIDK\)/,
    );
  });

  test("is JSON for a program, and a line for a person", async () => {
    const ended = await baseledger(["credit", "acme", "7", "--key", "c", "--json"], env);
    expectOneLine(ended);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("stored 5.00 USD, given 7.00 USD");
    expect(JSON.parse(ended.stdout)).toEqual({
      error: {
        code: "LGIDK",
        message: expect.stringContaining("given 7.00 USD"),
        detail: { field: "amount", stored: "5000000000", given: "7000000000" },
        hint: expect.any(String),
      },
    });
  });

  test("of the server does not say that it might have been executed", async () => {
    const ended = await baseledger(["credit", "acme", "5", ...as(1)]);
    expectOneLine(ended);
    expect(ended).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/permission denied for function credit\. Hint: grant/),
    });
    expect(ended.stderr).not.toContain("known");
  });
});

/** Runs a command into a lock, and ends its connection there. */
async function cutOff(
  args: readonly string[],
  lock: string,
  then?: (said: () => string) => Promise<unknown>,
): Promise<Ended> {
  const holder = await sql.reserve();
  await holder.unsafe(`begin; ${lock}`);
  const { ended, said } = start(args, env);
  await until("it waits for the lock", async () => {
    const [row] = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${database.name} and wait_event_type = 'Lock'
        and application_name = 'baseledger'`;
    return row !== undefined;
  });
  await then?.(said);
  await holder.unsafe("commit");
  holder.release();
  return ended;
}

// The driver may have the connection's end before the server's last word.
const ENDED = /57P01|CONNECTION_CLOSED/;
const LOCK_WALLET = "select from baseledger.wallets where wallet_id = 'acme' for update";
const LOCK_JOURNAL = "lock table baseledger.events in access exclusive mode";

describe("a connection that ends before the answer", () => {
  test("leaves it unknown whether funds were added; the key finds out", async () => {
    const args = ["credit", "acme", "1", "--key", "unsure"];
    const ended = await cutOff(args, LOCK_WALLET);
    expectOneLine(ended);
    expect(ended).toMatchObject({ code: 4, stdout: "" });
    expect(ended.stderr).toMatch(/not known whether it was done; ask again with --key unsure\n$/);
    const asked = await cutOff([...args, "--json"], LOCK_WALLET);
    expect(JSON.parse(asked.stdout)).toMatchObject({
      error: {
        code: expect.stringMatching(ENDED),
        idempotencyKey: "unsure",
        hint: expect.stringContaining("--key"),
      },
    });
  });

  test("does not end a verification", async () => {
    const again = (said: () => string) => until("asked again", () => said().includes("again"));
    const { code, stderr, stdout } = await cutOff(["verify"], LOCK_JOURNAL, again);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^sound/) });
    expect(stderr).toMatch(/^again, as: /);
  });

  test("ends a statement, which does not look complete", async () => {
    const [row] = await sql`select count(seq) as events from baseledger.post('acme', (
      select jsonb_agg(jsonb_build_object('op', 'charge', 'idempotency_key', i::text, 'amount', 1))
        from generate_series(1, 9000) i))`;
    expect(row?.events).toBe("9000");
    const { child, ended } = start(["statement", "acme", "--csv"], env);
    child.stdout?.once("data", () => child.stdout?.pause());
    await until("it waits for its reader", async () => {
      const [backend] = await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${database.name} and query like 'fetch%' and state <> 'active'
          and state_change < clock_timestamp() - interval '200 ms'`;
      return backend !== undefined;
    });
    child.stdout?.resume();
    const { code, stderr, stdout } = await ended;
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/^.*ended.*\n$/) });
    expect(stdout).toContain("opening balance");
    expect(stdout).not.toContain("closing balance");
  });
});

describe("verify exits with 4 where it comes to no verdict", () => {
  test.each([
    ["without the rights", async () => ["verify", ...as(0)], /permission denied/],
    ["of no wallet", async () => ["verify", "--wallet", "ghost", ...as(2)], /LGWNF/],
  ])("%s", async (_name, args, message) => {
    const ended = await baseledger([...(await args()), "--json"]);
    expectOneLine(ended);
    expect(ended).toMatchObject({ code: 4, stderr: expect.stringMatching(message) });
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { message: expect.any(String) } });
  });

  test("before its time-out", async () => {
    const holder = await sql.reserve();
    await holder.unsafe(`begin; ${LOCK_JOURNAL}`);
    const ended = await baseledger(["verify", ...as(2)]);
    await holder.unsafe("commit");
    holder.release();
    expectOneLine(ended);
    expect(ended).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/statement timeout\. Hint: .*\?statement_timeout=0/),
    });
  });

  test("where BaseLedger is not installed", async () => {
    await using empty = await createDatabase("empty");
    const ended = await baseledger(["verify", "--url", empty.url]);
    expectOneLine(ended);
    expect(ended).toMatchObject({ code: 4, stderr: expect.stringMatching(/not installed/) });
  });

  test("what a standby cancels is verified again", async () => {
    await using other = await createDatabase();
    const owner = postgres(other.url, { max: 1, onnotice: () => undefined });
    await openWallet(owner, { walletId: "acme" });
    await owner.unsafe(`
      create sequence public.tries;
      grant usage on sequence public.tries to public;
      create or replace function baseledger.verify(p_wallet_id text default null)
        returns setof baseledger.discrepancy language plpgsql stable security definer
        set search_path = pg_catalog, pg_temp as $$
      begin
        if nextval('public.tries') % 4 <> 0 then
          raise 'canceling statement due to conflict with recovery' using errcode = '40001';
        end if;
      end $$`);
    await owner.end();
    const { code, stderr } = await baseledger(["verify", "--url", other.url]);
    expect(stderr).toBe("again, as: canceling statement due to conflict with recovery\n".repeat(3));
    expect(code).toBe(0);
  });
});

describe("output that cannot be written", () => {
  const into = (command: string): Promise<{ code: unknown; stderr: string }> =>
    new Promise((resolve) => {
      const args = [
        "--norc",
        "-c",
        `set -o pipefail; "$0" "$1" ${command}`,
        process.execPath,
        MAIN,
      ];
      const options = { env: { PATH: process.env.PATH, ...env } };
      execFile("bash", args, options, (error, _stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stderr }),
      );
    });

  test.each([["verify > /dev/full"], ["statement acme --csv > /dev/full"]])(
    "%s",
    async (command) => {
      expect(await into(command)).toEqual({
        code: 4,
        stderr: expect.stringMatching(/^baseledger: cannot write the output: ENOSPC.*\n$/),
      });
    },
  );

  test("a bad verdict stays one", async () => {
    await sql`update baseledger.wallets set available = available + 1 where wallet_id = 'acme'`;
    const ended = await into("verify --json > /dev/full");
    await sql`update baseledger.wallets set available = available - 1 where wallet_id = 'acme'`;
    expect(ended).toMatchObject({ code: 1 });
  });

  test.each([["--csv"], ["--json"], [""]])("statement %s | head is fine", async (format) => {
    expect(await into(`statement acme ${format} | head -n 1`)).toEqual({ code: 0, stderr: "" });
  });

  test("nothing else happens when nobody reads the errors", async () => {
    expect(await into("balance ghost 2> /dev/full")).toEqual({ code: 1, stderr: "" });
  });
});
