// Who may use a wallet, on what terms, and what alerts it raises.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseledger } from "../support/cli.ts";
import { createLedger, loginOf, type TestLedger } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, environmentOf, json, tenDollars } = {} as Roles;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, environmentOf, json, tenDollars } = createRoles(ledger));
});

afterAll(() => ledger[Symbol.asyncDispose]());

describe("a key", () => {
  test("prints its secret once, alone on standard output, and opens the wallet", async () => {
    const w = await tenDollars("secret");
    const made = await as(
      ...(["operator", "key", "create", w, "--label", "user=ann", "--label", "team=a=b"] as const),
      ...["--free", "run, model", "--expires", "2999-01-01", "--key", "k"],
    );
    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(/^bl_\w{32,}\n$/);
    expect(made.stderr).toMatch(
      /^key_\w+ of secret, labels user=ann, team=a=b, free: run, model, until 2999-01-01T00:00:00\.000Z\. .*only now\.\n$/,
    );
    const secret = made.stdout.trim();
    const env = { ...environmentOf("agent"), BASELEDGER_KEY: secret };
    expect((await baseledger(["charge", w, "1", "--key", "call"], env)).code).toBe(0);
    const seen = await baseledger(["reservation", w, "call"], env);
    expect(seen.stdout).toMatch(/^call of secret: settled at /);
    expect(seen.stdout).toContain('  labels    {"team":"a=b","user":"ann"}\n');
    for (const other of [environmentOf("agent"), { ...env, BASELEDGER_KEY: "bl_wrong" }]) {
      const { code, stderr } = await baseledger(["balance", w], other);
      expect(code).toBe(1);
      expect(stderr).toMatch(/wallet not found, or not open to .*\(LGWNF\)/);
    }
    // A retry gets no secret: a pipe must not go on with an empty one.
    const again = await as(
      ...(["operator", "key", "create", w, "--label", "user=ann", "--label", "team=a=b"] as const),
      ...["--free", "run, model", "--expires", "2999-01-01", "--key", "k"],
    );
    expect(again).toMatchObject({ code: 4, stdout: "" });
    expect(again.stderr).toMatch(/was made before/);
    const listed = await as("auditor", "key", "list", w);
    expect(listed.stdout).toMatch(
      / key_\w+ {2}team=a=b, user=ann, free: run, model {2}\S+ \S+ {2}expires 2999-01-01 00:00:00\n/,
    );
    expect(listed.stdout).not.toContain(secret);
    const { keys } = await json("auditor", "key", "list", w);
    await json("operator", "key", "revoke", w, keys[0].keyId);
    expect((await as("auditor", "key", "list", w)).stdout).toMatch(/ revoked \d{4}-/);
    expect((await baseledger(["balance", w], env)).code).toBe(1);
  });

  test("is made and revoked as JSON, too", async () => {
    const w = await tenDollars("json-key");
    const made = await json("operator", "key", "create", w);
    expect(made).toEqual({
      keyId: expect.stringMatching(/^key_/),
      secret: expect.stringMatching(/^bl_/),
      expiresAt: null,
      replayed: false,
    });
    expect((await as("auditor", "key", "list", w)).stdout).toMatch(/ key_\w+ {2}none {4}\S+ \S+\n/);
    const none = await as("operator", "key", "revoke", w, "key_none");
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toMatch(/\(LGARG\)/);
  });
});

describe("a role", () => {
  test("is allowed, with labels, and disallowed", async () => {
    const w = await tenDollars("role");
    const role = loginOf("agent");
    const allowed = await as("operator", "allow", w, role, "--label", "team=search", "--free", "*");
    expect(allowed.stdout).toBe(
      `role: allowed (event 3)\n  role    ${role}\n  labels  team=search, free: all\n`,
    );
    expect((await as("agent", "balance", w)).code).toBe(0);
    const listed = await as("auditor", "key", "list", w);
    expect(listed.stdout).toMatch(new RegExp(` role ${role} {2}team=search, free: all {2}`));
    expect((await as("auditor", "wallets", w)).stdout).toMatch(/ open, restricted\n/);
    expect((await json("operator", "disallow", w, role)).event).toBe("disallowed");
    expect((await as("agent", "balance", w)).stderr).toMatch(/\(LGWNF\)/);
    expect((await as("auditor", "key", "list", w)).stdout).toBe("no roles and no keys\n");
  });

  test("needs to be let into a wallet that is opened restricted", async () => {
    await json("operator", "open", "closed-shop", "--restricted");
    expect((await as("agent", "balance", "closed-shop")).stderr).toMatch(/\(LGWNF\)/);
  });

  test.each([
    [["allow", "usage", "someone", "--label", "team"], /--label: team is not like user=ann/],
    [["allow", "usage", "someone", "--free", ","], /not a list/],
    [["allow", "usage"], /missing required argument 'role'/],
    [["key", "create", "usage", "--expires", "soon"], /not a time like/],
    [["key"], /Usage: baseledger key/],
    [["terms", "usage", "--overdraft-limit", "-"], /--overdraft-limit/],
    [
      ["terms", "usage", "--low-balance", "1", "--overdraft-limit", "1", "--key", "k"],
      /one change/,
    ],
    [["close", "usage"], /--reason/],
    [["webhook", "add"], /missing required argument 'address'/],
  ])("%j exits with 2", async (args, message) => {
    await tenDollars("usage");
    const { code, stdout, stderr } = await as("operator", ...args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test.each([
    [["allow", "mine", "someone"]],
    [["key", "create", "mine"]],
    [["key", "list", "mine"]],
    [["terms", "mine", "--overdraft-limit", "1"]],
    [["terms", "mine"]],
    [["close", "mine", "--reason", "x"]],
    [["alerts", "mine"]],
    [["webhook", "add", "https://example.com/"]],
    [["webhook", "list"]],
  ])("of an agent may not %j", async (args) => {
    await tenDollars("mine");
    const { code, stdout, stderr } = await as("agent", ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/permission denied/);
  });
});

describe("terms", () => {
  test("are shown and changed, in the wallet's unit", async () => {
    const w = await tenDollars("terms");
    const changed = await as(
      ...(["operator", "terms", w, "--overdraft-limit", "2.5", "--low-balance", "5, 1"] as const),
    );
    expect(changed.stdout).toBe(
      "terms: overdraft limit set (event 3)\n  overdraft limit  2.50 USD\n" +
        "terms: low balance set (event 4)\n  low balance  5.00 USD, 1.00 USD\n",
    );
    const { stdout } = await as("auditor", "terms", w);
    expect(stdout).toBe(
      "terms: open\n  unit             USD, 9 decimals\n" +
        "  overdraft limit  2.50 USD\n  low balance      1.00 USD, 5.00 USD\n",
    );
    await json("operator", "terms", w, "--overdraft-limit", "none");
    await json("operator", "terms", w, "--low-balance", "none");
    expect(await json("auditor", "terms", w)).toMatchObject({
      overdraftLimit: null,
      lowBalances: [],
    });
    // An operator who is no auditor.
    expect((await as("operator", "terms", w)).stdout).toMatch(/overdraft limit {2}none\n$/);
    const unknown = await as("operator", "terms", "term");
    expect(unknown).toMatchObject({ code: 1, stdout: "" });
    expect(unknown.stderr).toMatch(/\(LGWNF\)/);
  });

  test("of a closed wallet: left out of lists, nothing new, and opened again", async () => {
    const w = await tenDollars("gone");
    await json("operator", "close", w, "--reason", "contract ended");
    expect((await as("operator", "credit", w, "1")).stderr).toMatch(/wallet is closed.*\(LGCLO\)/);
    expect(await json("auditor", "wallets", w)).toEqual([]);
    for (const option of ["--all", "--closed"]) {
      expect((await as("auditor", "wallets", w, option)).stdout).toMatch(/ closed\n/);
    }
    const booked = await json("agent", "charge", w, "1", "--already-spent");
    expect(booked.event).toBe("charged");
    await json("operator", "reopen", w, "--reason", "contract renewed");
    expect(await json("auditor", "wallets", w)).toHaveLength(1);
    expect(await json("auditor", "wallets", w, "--frozen")).toEqual([]);
    expect(await json("auditor", "wallets", w, "--unit", "EUR")).toEqual([]);
  });
});

describe("alerts", () => {
  test("are listed, the latest first, with what has become of them", async () => {
    const w = await tenDollars("alerted");
    expect((await as("auditor", "alerts", w)).stdout).toBe("no alerts\n");
    await json("operator", "terms", w, "--low-balance", "5");
    await json(
      ...(["operator", "limit", "set", w, "user-day", "8", "--per", "day"] as const),
      ...["--by", "user", "--alert-at", "50,100"],
    );
    await json(
      "operator",
      "limit",
      "set",
      w,
      "calls",
      "4",
      "--per",
      "ever",
      "--of",
      "calls",
      "--alert-at",
      "25",
    );
    const webhook = await as(
      ...(["operator", "webhook", "add", "http://127.0.0.1:9/", "--wallet", w] as const),
      ...["--allow-private", "--events", "limit"],
    );
    expect(webhook.stdout).toMatch(/^whsec_\S+\n$/);
    const metadata = JSON.stringify({ user: "ann" });
    await json("agent", "charge", w, "4", "--metadata", metadata);
    await json("agent", "charge", w, "2", "--metadata", metadata);
    const { stdout } = await as("auditor", "alerts", w);
    const lines = stdout.split("\n").slice(3, -2);
    expect(lines.map((line) => line.slice(22))).toEqual([
      "funds fell below 5.00 USD, to 4.00 USD           no webhook",
      expect.stringMatching(/^user-day \(ann\): 50% of 8\.00 USD, 4\.00 USD spent {2}pending$/),
      expect.stringMatching(/^calls: 25% of 4 calls, 1 call made +pending$/),
    ]);
    const all = await json("auditor", "alerts");
    expect(all).toHaveLength(3);
    expect(all[0]).toMatchObject({
      walletId: w,
      kind: "low_balance",
      state: "none",
      value: "4000000000",
    });
    const [listed] = await json("auditor", "webhook", "list", w);
    expect(listed).toMatchObject({ walletId: w, events: ["limit"], allowPrivate: true });
    expect((await as("operator", "webhook", "list")).stdout).toMatch(
      / alerted {2}http:\/\/127\.0\.0\.1:9\/ {2}limit +allowed /,
    );
    const removed = await as("operator", "webhook", "remove", listed.webhookId);
    expect(removed.stdout).toBe(`${listed.webhookId} removed: http://127.0.0.1:9/\n`);
    expect((await as("operator", "webhook", "list", w)).stdout).toBe("no webhooks\n");
    expect((await as("auditor", "alerts", "unknown")).stderr).toMatch(/\(LGWNF\)/);
  });
});

describe("receipt", () => {
  test("says whether a command was done", async () => {
    const w = await tenDollars("receipts");
    const done = await json("agent", "charge", w, "1", "--key", "k");
    expect(await json("agent", "receipt", w, "k")).toEqual({ ...done, replayed: true });
    expect((await as("agent", "receipt", w, "k")).stdout).toMatch(/^receipts: charged 1\.00 USD/);
    const none = await as("agent", "receipt", w, "other");
    expect(none).toEqual({
      code: 1,
      stdout: "",
      stderr: "baseledger: nothing was done under the key other in receipts\n",
    });
    expect((await as("agent", "receipt", w, "other", "--json")).stdout).toBe("null\n");
  });
});
