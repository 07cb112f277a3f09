import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  type Arguments,
  call,
  command,
  createLedger,
  expectRefusal,
  failure,
  history,
  holdLock,
  openWallet,
  outcome,
  post,
  type Receipt,
  type Role,
  type TestLedger,
  travelBack,
  untilCrowd,
} from "../support/ledger.ts";

const CONNECTIONS = 40;
const SENDS = 200;

let ledger: TestLedger;
let crowd: { readonly agent: postgres.Sql; readonly operator: postgres.Sql };
let wallets = 0;

beforeAll(async () => {
  ledger = await createLedger();
  crowd = {
    agent: ledger.connect("agent", CONNECTIONS),
    operator: ledger.connect("operator", CONNECTIONS),
  };
});
afterEach(() => checkInvariants(ledger));
afterAll(async () => {
  await checkPast(ledger);
  await ledger[Symbol.asyncDispose]();
});

/** A wallet with an open reservation `open`, one past its deadline `due`, and a charge `charge`. */
async function wallet(): Promise<string> {
  wallets += 1;
  const id = await openWallet(ledger, `wallet-${wallets}`, 1000n);
  await openWallet(ledger, `other-${wallets}`);
  await post(ledger.agent, id, [
    { op: "reserve", idempotency_key: "due", amount: 10n, ttl: 60 },
    { op: "reserve", idempotency_key: "open", amount: 100n, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50n },
  ]);
  await travelBack(ledger, id, "1 hour");
  return id;
}

/** Sends everything at the same time: all connections wait for the wallet, then it is unlocked. */
async function atOnce<T>(
  walletId: string,
  role: Role,
  sends: readonly (() => Promise<T>)[],
): Promise<T[]> {
  const unlock = await holdLock(ledger, walletId);
  const sent = Promise.all(sends.map((send) => send()));
  await untilCrowd(ledger, role, Math.min(sends.length, CONNECTIONS));
  await unlock();
  return sent;
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Expects one event, and the same receipt for each send; only one of them is not replayed. */
async function expectOnce(walletId: string, key: string, receipts: Receipt[]): Promise<void> {
  const events = await ledger.auditor<{ seq: bigint }[]>`
    select seq from baseledger.journal
      where wallet_id = ${walletId} and idempotency_key = ${key}`;
  expect(events).toHaveLength(1);
  const first = receipts.filter(({ replayed }) => !replayed);
  expect(first).toHaveLength(1);
  expect(first[0]).toMatchObject({ seq: events[0]?.seq, refused: null, idempotency_key: key });
  const same = receipts.filter(
    (receipt) => JSON.stringify(plain(receipt)) === JSON.stringify(plain(first[0])),
  );
  expect(same).toHaveLength(receipts.length);
}

function plain(receipt: Receipt | undefined): object {
  const entries = Object.entries(receipt ?? {}).filter(([name]) => name !== "replayed");
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

const commands: ["agent" | "operator", string, Arguments][] = [
  ["operator", "credit", { amount: 7n, metadata: { invoice: "7" } }],
  ["operator", "withdraw", { amount: 7n }],
  ["operator", "refund", { reservation_id: "charge", amount: 7n }],
  ["operator", "freeze_wallet", { reason: "stop" }],
  ["operator", "unfreeze_wallet", { reason: "go" }],
  ["agent", "reserve", { amount: 7n, ttl: "90 seconds", metadata: { run: [1, { a: null }] } }],
  ["agent", "reserve", { amount: 7000n, at_least: 7n }],
  ["agent", "settle", { reservation_id: "open", amount: 70n }],
  ["agent", "settle", { reservation_id: "open", amount: 70n, final: false }],
  ["agent", "settle", { reservation_id: "open", amount: 170n }],
  ["agent", "settle", { reservation_id: "due", amount: 70n }],
  ["agent", "settle", { reservation_id: "due", amount: 70n, final: false }],
  ["agent", "cancel", { reservation_id: "open" }],
  ["agent", "extend", { reservation_id: "open", ttl: "90 seconds" }],
  ["agent", "extend", { reservation_id: "open", ttl: "90 seconds", amount: 150n }],
  ["agent", "charge", { amount: 7n }],
];

describe(`${SENDS} duplicates at once`, () => {
  test.each(commands)("%s: %s %o", async (role, name, args) => {
    const id = await wallet();
    const key = { idempotency_key: "one" };
    const send = () => command(crowd[role], name, { wallet_id: id, ...key, ...args });
    await expectOnce(
      id,
      "one",
      await atOnce(
        id,
        role,
        times(SENDS, () => send),
      ),
    );
  });

  test("transfer", async () => {
    const id = await wallet();
    const other = id.replace("wallet", "other");
    const args = { from: id, to: other, amount: 7n, idempotency_key: "one" };
    const send = () => command(crowd.operator, "transfer", args);
    await expectOnce(
      id,
      "one",
      await atOnce(
        id,
        "operator",
        times(SENDS, () => send),
      ),
    );
    expect(await history(ledger, other)).toEqual(["opened", "transferred_in"]);
  });

  test("open_wallet", async () => {
    wallets += 1;
    const args = { wallet_id: `wallet-${wallets}`, unit: "tokens", scale: 0n };
    const sends = times(SENDS, () => command(crowd.operator, "open_wallet", args));
    const receipts = await Promise.all(sends);
    expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(receipts.map((receipt) => JSON.stringify(plain(receipt)))).size).toBe(1);
    expect(await history(ledger, args.wallet_id)).toEqual(["opened"]);
  });

  test("half of them in batches, twice in each", async () => {
    const id = await wallet();
    const reserve = { idempotency_key: "one", amount: 7n, ttl: 60n };
    const single = async (): Promise<Receipt[]> => [
      await command(crowd.agent, "reserve", { wallet_id: id, ...reserve, ttl: "1 minute" }),
    ];
    const batch = async (index: number): Promise<Receipt[]> => {
      const receipts = await post(crowd.agent, id, [
        { op: "reserve", idempotency_key: `before-${index}`, amount: 1n },
        { op: "reserve", ...reserve },
        { op: "cancel", idempotency_key: `cancel-${index}`, reservation_id: `before-${index}` },
        { op: "reserve", ...reserve },
      ]);
      expect(receipts.map(({ refused }) => refused)).toEqual([null, null, null, null]);
      expect(receipts[3]?.replayed).toBe(true);
      return [receipts[1], receipts[3]].filter((receipt) => receipt !== undefined);
    };
    const sends = times(SENDS, (index) => (index % 2 ? single : () => batch(index)));
    const receipts = (await atOnce(id, "agent", sends)).flat();
    expect(receipts).toHaveLength((SENDS / 2) * 3);
    await expectOnce(id, "one", receipts);
  });

  test("batches", async () => {
    const id = await wallet();
    const commands = [
      { op: "reserve", idempotency_key: "a", amount: 100n },
      { op: "settle", idempotency_key: "b", reservation_id: "a", amount: 60n },
      { op: "charge", idempotency_key: "c", amount: 5n },
      { op: "cancel", idempotency_key: "d", reservation_id: "open" },
    ];
    const batches = await atOnce(
      id,
      "agent",
      times(SENDS, () => () => post(crowd.agent, id, commands)),
    );
    for (const [position, key] of ["a", "b", "c", "d"].entries()) {
      const receipts = batches.map((batch) => batch[position]).filter((r) => r !== undefined);
      expect(receipts).toHaveLength(SENDS);
      await expectOnce(id, key, receipts);
    }
  });
});

describe("one key for different commands at once", () => {
  const differing: [string, "agent" | "operator", string, (index: number) => Arguments][] = [
    ["amount", "agent", "reserve", (i) => ({ amount: BigInt(i) + 1n, reservation_id: "same" })],
    ["amount", "operator", "credit", (i) => ({ amount: BigInt(i) + 1n })],
    ["reservation_id", "agent", "reserve", (i) => ({ amount: 1n, reservation_id: `id-${i}` })],
    ["ttl", "agent", "reserve", (i) => ({ amount: 1n, ttl: `${i + 1} minutes` })],
    ["at_least", "agent", "reserve", (i) => ({ amount: 900n, at_least: BigInt(i) + 1n })],
    ["metadata", "agent", "charge", (i) => ({ amount: 1n, metadata: { call: i } })],
    ["final", "agent", "settle", (i) => ({ amount: 1n, reservation_id: "open", final: i % 2 < 1 })],
    ["ttl", "agent", "extend", (i) => ({ reservation_id: "open", ttl: `${i + 1} minutes` })],
    ["reason", "operator", "freeze_wallet", (i) => ({ reason: `reason ${i}` })],
  ];
  test.each(differing)("another %s, %s: %s", async (field, role, name, args) => {
    const id = await wallet();
    const sends = times(CONNECTIONS, (index) => () => {
      const given = { wallet_id: id, idempotency_key: "one", ...args(index) };
      return outcome(command(crowd[role], name, given));
    });
    const outcomes = await atOnce(id, role, sends);
    const granted = outcomes.filter((each) => "seq" in each && !each.replayed);
    const replayed = outcomes.filter((each) => "seq" in each && each.replayed);
    expect(granted).toHaveLength(1);
    // Those with the same arguments as the granted one are replayed.
    expect(replayed).toHaveLength(field === "final" ? CONNECTIONS / 2 - 1 : 0);
    const refused = outcomes.filter((each) => "code" in each && each.code === "LGIDK");
    expect(refused).toHaveLength(CONNECTIONS - 1 - replayed.length);

    const other = { wallet_id: id, idempotency_key: "one", ...args(CONNECTIONS + 1) };
    const again = { ...other, ...(field === "final" ? { amount: 2n } : {}) };
    const detail = await expectRefusal("LGIDK", command(ledger[role], name, again));
    expect(detail.field).toBe(field === "final" ? "amount" : field);
  });

  test("other commands", async () => {
    const id = await wallet();
    const key = { wallet_id: id, idempotency_key: "one" };
    const kinds = [
      () => command(crowd.operator, "credit", { ...key, amount: 1n }),
      () => command(crowd.operator, "withdraw", { ...key, amount: 1n }),
      () => command(crowd.operator, "charge", { ...key, amount: 1n }),
      () => command(crowd.operator, "reserve", { ...key, amount: 1n }),
      () => command(crowd.operator, "cancel", { ...key, reservation_id: "open" }),
    ];
    const sends = times(CONNECTIONS, (index) => () => {
      return outcome((kinds[index % kinds.length] ?? fail)());
    });
    const outcomes = await atOnce(id, "operator", sends);
    const codes = outcomes.map((each) => ("code" in each ? each.code : `${each.replayed}`));
    const same = CONNECTIONS / kinds.length;
    expect(codes.filter((code) => code === "false")).toHaveLength(1);
    expect(codes.filter((code) => code === "true")).toHaveLength(same - 1);
    expect(codes.filter((code) => code === "LGIDK")).toHaveLength(CONNECTIONS - same);
  });

  test("the terms of a wallet", async () => {
    wallets += 1;
    const id = `wallet-${wallets}`;
    const outcomes = await Promise.all(
      times(50, (index) => {
        const terms = { wallet_id: id, scale: BigInt(index % 5) };
        return outcome(command(crowd.operator, "open_wallet", terms));
      }),
    );
    const codes = outcomes.map((each) => ("code" in each ? each.code : `${each.replayed}`));
    expect(codes.filter((code) => code === "false")).toHaveLength(1);
    expect(codes.filter((code) => code === "true")).toHaveLength(9);
    expect(codes.filter((code) => code === "LGIDK")).toHaveLength(40);
    expect(await history(ledger, id)).toEqual(["opened"]);
  });
});

test("keys and reservation ids belong to their wallet", async () => {
  const ids = await Promise.all(times(20, wallet));
  const reserve = { amount: 5n, idempotency_key: "one", reservation_id: "mine" };
  const receipts = await Promise.all(
    ids.map((id) => command(crowd.agent, "reserve", { wallet_id: id, ...reserve })),
  );
  expect(receipts.filter(({ replayed }) => replayed)).toEqual([]);
});

test("the sender's key is free in the wallet of the receiver", async () => {
  const [from, to] = [await wallet(), await wallet()];
  const key = { idempotency_key: "one" };
  await command(ledger.operator, "transfer", { from, to, amount: 5n, ...key });
  await command(ledger.operator, "transfer", { from: to, to: from, amount: 5n, ...key });
  const receipt = await command(ledger.operator, "transfer", { from, to, amount: 5n, ...key });
  expect(receipt).toMatchObject({ replayed: true, wallet_id: from, event: "transferred_out" });
  const { code } = await failure(
    command(ledger.operator, "credit", { wallet_id: to, amount: 5n, ...key }),
  );
  expect(code).toBe("LGIDK");
});

test("the key of a refused command is free", async () => {
  const id = await wallet();
  const reserve = { wallet_id: id, idempotency_key: "one" };
  const outcomes = await atOnce(
    id,
    "agent",
    times(SENDS, (index) => () => {
      // Only the last of these can be granted.
      const amount = index === SENDS - 1 ? 1n : 5000n;
      return outcome(command(crowd.agent, "reserve", { ...reserve, amount }));
    }),
  );
  const codes = outcomes.flatMap((each) => ("code" in each ? [each.code] : []));
  expect(codes).toHaveLength(SENDS - 1);
  expect(codes.filter((code) => code !== "LGNSF" && code !== "LGIDK")).toEqual([]);
  expect(outcomes.filter((each) => "event" in each)).toHaveLength(1);
  expect(await call(ledger.agent, "balance", { wallet_id: id })).toMatchObject([
    { reserved: 101n },
  ]);
});

function fail(): never {
  throw new Error("no such kind");
}
