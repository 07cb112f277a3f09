import { afterAll, beforeAll, expect, test } from "vitest";
import { openWallet, reserve, settle } from "../../src/generated/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, json, tenDollars } = {} as Roles;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, json, tenDollars } = createRoles(ledger));
  for (const walletId of ["list%a", "list%b", "list%c", "listed"]) await tenDollars(walletId);
  await openWallet(ledger.operator, { walletId: "list%tokens", unit: "tokens", scale: 0 });
  await spendALittle("list%b");
});

afterAll(() => ledger[Symbol.asyncDispose]());

async function spendALittle(walletId: string): Promise<void> {
  const terms = { walletId, amount: 123_456_789n };
  await reserve(ledger.agent, { ...terms, idempotencyKey: "r" });
  await settle(ledger.agent, { ...terms, reservationId: "r", idempotencyKey: "s" });
}

test("are listed for a person, page by page", async () => {
  const { code, stdout } = await as("auditor", "wallets", "list%", "--limit", "2");
  expect(code).toBe(0);
  expect(stdout).toMatch(/ list%a +USD +10\.000000000 +0\.000000000 +0\.000000000 +open\n/);
  expect(stdout).toMatch(/ list%b +USD +9\.876543211 +0\.000000000 +0\.123456789 +open\n/);
  expect(stdout).toMatch(/\nThere are more; continue with: --after list%b\n$/);
  const rest = await as("auditor", "wallets", "list%", "--after", "list%b");
  expect(rest.stdout).toMatch(/ list%c .*\n list%tokens +tokens +0 +0 +0 +open\n─+\n$/);
  expect(rest.stdout).not.toMatch(/listed|list%b|more/);
});

test("are listed for a program, all of them", async () => {
  await ledger.operator`
    select count(baseledger.open_wallet('many-' || n)) from generate_series(1, 1100) n`;
  const listed = await json("auditor", "wallets", "many-");
  const ids = listed.map(({ walletId }: { walletId: string }) => walletId);
  expect(new Set(ids).size).toBe(1_100);
  expect(ids).toEqual(ids.toSorted());
  expect(await json("auditor", "wallets", "none-")).toEqual([]);
  const { stdout } = await as("auditor", "wallets", "many-", "--csv", "--limit", "1001");
  expect(stdout.trimEnd().split("\n")).toHaveLength(1_002);
  expect(stdout).toMatch(
    /^wallet_id,unit,available,.*\nmany-1,USD,0\.00,0\.00,0\.00,0\.00,,false,1,/,
  );
});

test("cannot do anything to the terminal by their names", async () => {
  await openWallet(ledger.operator, { walletId: "evil\u001b[2J\nopen" });
  const { stdout } = await as("auditor", "wallets", "evil");
  expect(stdout).toContain("evil\\x1b[2J\\nopen");
  await openWallet(ledger.operator, { walletId: "=evil" });
  expect((await as("auditor", "wallets", "=", "--csv")).stdout).toContain("\n'=evil,");
});
