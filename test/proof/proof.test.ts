// The proof in a small size; `npm run proof` runs it for as long as one likes.

import { expect, test } from "vitest";
import type { Json } from "../../src/json/index.ts";
import { POST_FUNDS_OPS, POST_OPS } from "../support/operations.ts";
import { templateServer } from "../support/server.ts";
import { copyTemplate } from "../support/template.ts";
import { findBroken } from "./invariants.ts";
import { byOperator, call, createLedger } from "./ledger.ts";
import { emptyWallet, execute } from "./model.ts";
import type { Budget, Part } from "./part.ts";
import { AGENT_OPS, type Arguments, commandOf, FUNDS_OPS } from "./requests.ts";
import { compareStep } from "./sequences/compare.ts";
import { exhaustivePart, groupingsPart, modelPart } from "./sequences/index.ts";
import { withPlayers } from "./sequences/players.ts";

const SEED = 20_261_125;

function run(part: Part, seconds: number) {
  const server = templateServer();
  const budget: Budget = {
    seed: SEED,
    runs: Number.POSITIVE_INFINITY,
    until: performance.now() + seconds * 1000,
    log: () => undefined,
    createDatabase: () => copyTemplate(server),
  };
  return part.run(budget);
}

test("the model has the operations of batches that the database has", () => {
  expect([AGENT_OPS, FUNDS_OPS]).toEqual([POST_OPS, POST_FUNDS_OPS]);
});

test("random sequences come out as the model says", { timeout: 300_000 }, async () => {
  const { failure, ran } = await run(modelPart, 14);
  expect(failure).toBeUndefined();
  expect(ran.sequences).toBeGreaterThan(100);
});

test("the same commands in other groups, over wallets, come to the same", {
  timeout: 300_000,
}, async () => {
  const { failure, ran } = await run(groupingsPart, 5);
  expect(failure).toBeUndefined();
  expect(ran.sequences).toBeGreaterThan(100);
});

test("a refusal in a batch names the next deadline of its own wallet", async () => {
  const step = (call: string, args: Arguments) => ({ call, args, look: null });
  const hold = { op: "reserve", reservation_id: "r1", amount: 5, idempotency_key: "k" };
  const inB = { ...hold, wallet_id: "b", amount: 9 };
  const short = { ...hold, wallet_id: "a", reservation_id: "r2", idempotency_key: "short" };
  const steps = ["a", "b"].flatMap((wallet_id) => [
    step("open_wallet", { wallet_id, unit: "USD", scale: 9, overdraft_limit: null }),
    step("credit", { wallet_id, amount: 8, idempotency_key: "funds" }),
  ]);
  const batches = [[{ ...hold, wallet_id: "a" }], [inB, short]];
  const many = batches.map((commands) => step("post_many", { commands }));
  const createDatabase = () => copyTemplate(templateServer());
  await withPlayers({ createDatabase } as Budget, async (player) => {
    expect(await player.play({ start: steps, sequences: [many] })).toBeUndefined();
  });
});

test("every sequence of three steps comes out as the model says", {
  timeout: 300_000,
}, async () => {
  const { failure, ran } = await run(exhaustivePart(3), 300);
  expect(failure).toBeUndefined();
  expect(ran.sequences).toBe(ran.possible);
});

test("a deadline that passes during a step may come before or after its refusal", () => {
  const wallet_id = "a";
  const step = (call: string, args: Arguments) => ({
    call,
    args: { wallet_id, ...args },
    look: null,
  });
  const ledger = createLedger();
  const at = 10_000_000n;
  call(
    ledger,
    "open_wallet",
    { wallet_id, unit: "USD", scale: 9 },
    byOperator(() => at),
  );
  call(
    ledger,
    "credit",
    { wallet_id, amount: 10, idempotency_key: "funds" },
    byOperator(() => at),
  );
  const held = { reservation_id: "r1", amount: 4, ttl: 1, idempotency_key: "k" };
  call(
    ledger,
    "reserve",
    { wallet_id, ...held },
    byOperator(() => at),
  );
  const cancel = step("cancel", { reservation_id: "r1", idempotency_key: "c" });
  const between = (from: bigint, until: bigint, answer: Json = null) => {
    const result = { answer, rows: { wallets: null, reservations: null }, looked: null, busy: "" };
    return compareStep(
      createLedger(ledger),
      cancel,
      { ...result, from, until, seen: until },
      { busy: "" },
    );
  };
  const late = at + 2_000_000n;
  const refused = between(late, late)?.expected;
  expect(refused).toMatchObject({ refused: "LGEXP" });
  expect(between(at + 9n, late, refused)?.what).toBe("the rows");
  expect(between(at + 9n, at + 99n, refused)?.what).toBe("the answer");
});

test("a model that breaks an invariant is found", () => {
  const reserve = { reservation_id: "r1", amount: 4, idempotency_key: "k" };
  const commands = [
    commandOf("open", {}),
    commandOf("credit", { amount: 10, idempotency_key: "funds" }),
    commandOf("reserve", reserve),
  ];
  const empty = emptyWallet("a", { unit: "USD", scale: 9, overdraft_limit: null });
  const { wallet } = execute(empty, commands, 0n);
  const [opened, credited, reserved] = wallet.journal;
  if (!opened || !credited || !reserved) throw new Error("the model has no events");
  const held = wallet.reservations.get("r1");
  if (!held) throw new Error("the model has no reservation");

  expect(findBroken(wallet)).toEqual([]);
  expect(findBroken({ ...wallet, available: 7n })).toEqual([
    "a: 1: the balances do not come to 10",
  ]);
  const overdrawn = { ...reserved, available: -1n };
  expect(findBroken({ ...wallet, journal: [opened, credited, overdrawn] })).toEqual([
    "a: 2: reserved beyond funds at 3",
  ]);
  const more = new Map([["r1", { ...held, held: 5n }]]);
  expect(findBroken({ ...wallet, reservations: more })).toEqual([
    "a: 3: reserved is 4, the holds are 5",
  ]);
  const gone = { ...credited, seq: 4n, open: [] };
  const back = { ...credited, amount: 0n, seq: 5n, open: [held] };
  const closed = { ...gone, amount: 0n, reservation_id: "r1" };
  expect(findBroken({ ...wallet, journal: [opened, credited, reserved, closed, back] })).toEqual([
    "a: 4: r1 is open again at 5",
  ]);
});
