import { afterAll, beforeAll, expect, test } from "vitest";
import { createLedger, type TestLedger, travelBack } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, json, tenDollars } = {} as Roles;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, json, tenDollars } = createRoles(ledger));
});

afterAll(() => ledger[Symbol.asyncDispose]());

test("reads how a reservation went", async () => {
  const w = await tenDollars("audited");
  await json("agent", "reserve", w, "1", "--key", "call", "--ttl", "60");
  await json("agent", "settle", w, "call", "0.25", "--part");
  await json("agent", "settle", w, "call", "1.5");
  const { code, stdout } = await as("auditor", "reservation", w, "call");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^call of audited: settled at \d{4}-\S+Z\n {2}granted {3}1\.00 USD\n/);
  expect(stdout).toMatch(/settled {3}1\.75 USD in 2 parts\n {2}overage {3}0\.75 USD\n/);
  expect(stdout).toMatch(/reserved +1\.00 .*\n.*settled +0\.25 .*\n.*settled +1\.50 .*agent/);
  expect(await json("auditor", "reservation", w, "call")).toMatchObject({
    status: "settled",
    amount: "1000000000",
    overage: "750000000",
    held: "0",
    events: [{ event: "reserved", idempotencyKey: "call" }, {}, { amount: "1500000000" }],
  });
});

test("sees that one is past its deadline, before anything is booked", async () => {
  const w = await tenDollars("late");
  await json("agent", "reserve", w, "4", "--key", "call", "--ttl", "1m");
  expect(await json("auditor", "reservation", w, "call")).toMatchObject({ status: "open" });
  await travelBack(ledger, w, "1 hour");
  expect(await json("auditor", "reservation", w, "call")).toMatchObject({ status: "due" });
  expect(await json("auditor", "wallets", w)).toMatchObject([
    { available: "10000000000", reserved: "0", due: "4000000000" },
  ]);
});

test.each([
  [["reservation", "ghost", "r"], "LGWNF"],
  [["reservation", "audited", "ghost"], "LGRNF"],
])("asks in vain for %j", async (args, sqlstate) => {
  await tenDollars("audited");
  const { code, stdout } = await as("auditor", ...args, "--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: sqlstate } });
});
