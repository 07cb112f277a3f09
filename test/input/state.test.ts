import { describe, expect, test } from "vitest";
import type { Json } from "../../src/json/index.ts";
import {
  type Arguments,
  call,
  command,
  expectRefusal,
  failure,
  post,
  postMany,
  verify,
} from "../support/ledger.ts";
import { POST_OPS } from "../support/operations.ts";
import { granted, MAX } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

describe("what does not exist", () => {
  const ofOneWallet = Object.entries(granted).filter(([name]) => name !== "open_wallet");
  test.each(ofOneWallet)("%s: an unknown wallet", async (name, args) => {
    for (const field of ["wallet_id", "from", "to"].filter((each) => each in args)) {
      const run = () =>
        expectRefusal("LGWNF", command(input.sql, name, { ...args, [field]: "nobody" }));
      expect(await input.unchanged(run)).toEqual({ wallet_id: "nobody" });
    }
  });

  test("reading an unknown wallet", async () => {
    for (const name of ["balance", "statement"]) {
      await expectRefusal("LGWNF", call(input.sql, name, { wallet_id: "nobody" }));
    }
    await expectRefusal("LGWNF", call(input.sql, "balance_at", { wallet_id: "nobody", at: "now" }));
    await expectRefusal("LGWNF", call(input.ledger.auditor, "verify", { wallet_id: "nobody" }));
    for (const commands of [[], [{ op: "cancel" }]] as Json[]) {
      await expectRefusal("LGWNF", call(input.sql, "post", { wallet_id: "nobody", commands }));
      await expectRefusal(
        "LGWNF",
        call(input.sql, "post_funds", { wallet_id: "nobody", commands }),
      );
    }
    const charge = { op: "charge", amount: 1, idempotency_key: "k" };
    const ids = ["nobody", "W", "w ", "\u{1f4a9}".repeat(255)];
    const receipts = await input.undone((tx) =>
      postMany(
        tx,
        [...ids, "w"].map((wallet_id) => ({ ...charge, wallet_id })),
      ),
    );
    expect(receipts.map(({ refused }) => refused)).toEqual([...ids.map(() => "LGWNF"), null]);
    expect(receipts.slice(0, -1).map(({ detail }) => detail)).toEqual(
      ids.map((wallet_id) => ({ wallet_id })),
    );
  });

  const ofOneReservation = Object.keys(granted).filter((name) =>
    ["open", "charge"].includes(String(granted[name]?.reservation_id)),
  );
  test.each(ofOneReservation)("%s: an unknown reservation", async (name) => {
    const args = { ...granted[name], reservation_id: "none" };
    const run = () => expectRefusal("LGRNF", command(input.sql, name, args));
    expect(await input.unchanged(run)).toEqual({ reservation_id: "none" });
    // It exists, but in another wallet.
    const theirs = { ...granted[name], wallet_id: "other" };
    await expectRefusal("LGRNF", command(input.sql, name, theirs));
  });

  test("transfer: to itself, and between wallets that do not match", async () => {
    for (const to of ["w", "tokens"]) {
      const args = { ...granted.transfer, to };
      const run = () => expectRefusal("LGARG", command(input.sql, "transfer", args));
      expect(await input.unchanged(run)).toMatchObject({ field: "to" });
    }
  });
});

describe("a balance that would leave its range", () => {
  const k = { idempotency_key: "k" };
  const cases: [string, string, Arguments][] = [
    ["LGOVF", "credit", { wallet_id: "w", amount: MAX }],
    ["LGOVF", "credit", { wallet_id: "w", amount: MAX - 949n }],
    // What is reserved may come back, and must fit then.
    ["LGOVF", "credit", { wallet_id: "full", amount: 1n }],
    ["LGOVF", "transfer", { from: "w", to: "full", amount: 1n }],
    ["LGNSF", "reserve", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "charge", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "withdraw", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "transfer", { from: "w", to: "other", amount: MAX }],
    ["LGNSF", "extend", { wallet_id: "w", reservation_id: "open", ttl: "1 hour", amount: MAX }],
    ["LGNSF", "extend", { wallet_id: "full", reservation_id: "open", ttl: "1 hour", amount: MAX }],
    ["LGRFD", "refund", { wallet_id: "w", reservation_id: "charge", amount: MAX }],
    ["LGOVF", "settle", { wallet_id: "w", reservation_id: "open", amount: MAX }],
    ["LGOVD", "settle", { wallet_id: "strict", reservation_id: "open", amount: MAX }],
    ["LGOVD", "settle", { wallet_id: "strict", reservation_id: "open", amount: 1001n }],
  ];
  test.each(cases)("%s for %s %o", async (code, name, args) => {
    if (args.reservation_id === "open" && name === "extend" && args.wallet_id === "full") {
      // The same amount as before is granted.
      const receipt = await input.undone((tx) => command(tx, name, { ...args, ...k }));
      expect(receipt).toMatchObject({ event: "extended", amount: 0n });
      return;
    }
    const detail = await input.unchanged(() =>
      expectRefusal(code, command(input.sql, name, { ...args, ...k })),
    );
    expect(detail).toHaveProperty("requested");
  });

  const batched = cases.filter(([, name]) => POST_OPS.includes(name));
  test.each(batched)("%s for %s %o in post_many", async (code, name, args) => {
    if (name === "extend" && args.wallet_id === "full") return;
    const ttl = args.ttl === undefined ? {} : { ttl: args.ttl };
    const bad = { op: name, ...args, ...ttl, ...k };
    const charge = { op: "charge", wallet_id: "other", amount: 1n, ...k };
    const receipts = await input.undone((tx) => postMany(tx, [bad, charge]));
    expect(receipts.map(({ refused }) => refused)).toEqual([code, null]);
    expect(receipts[0]?.detail).toHaveProperty("requested");
    await input.unchanged(() => postMany(input.sql, [bad]));
  });

  test("spent at its limit: settled in parts, refunded, and settled again", async () => {
    await input.undone(async (tx) => {
      const settle = { wallet_id: "w", reservation_id: "open", final: false };
      const most = MAX - 50n;
      await command(tx, "settle", { ...settle, amount: most, idempotency_key: "1" });
      await tx.unsafe("savepoint s");
      const more = command(tx, "settle", { ...settle, amount: 1n, idempotency_key: "2" });
      expect(await failure(more)).toMatchObject({ code: "LGOVF" });
      await tx.unsafe("rollback to s");
      const refund = { wallet_id: "w", reservation_id: "open", amount: most };
      await command(tx, "refund", { ...refund, idempotency_key: "3" });
      // Now spent has room, but the total that this reservation has settled does not.
      for (const final of [false, true]) {
        await tx.unsafe("savepoint s");
        const again = { ...settle, final, amount: 51n, idempotency_key: "4" };
        expect(await failure(command(tx, "settle", again))).toMatchObject({ code: "LGOVF" });
        await tx.unsafe("rollback to s");
      }
      expect(await verify(input.ledger.auditor)).toEqual([]);
    });
  });

  test("funds far below zero", async () => {
    await input.undone(async (tx) => {
      await command(tx, "reserve", { wallet_id: "w", amount: 1n, idempotency_key: "r" });
      const settle = { wallet_id: "w", amount: MAX - 60n };
      const first = { ...settle, reservation_id: "open", idempotency_key: "1" };
      expect(await command(tx, "settle", first)).toMatchObject({ event: "settled" });
      await tx.unsafe("savepoint s");
      const second = { ...settle, reservation_id: "r", idempotency_key: "2" };
      expect(await failure(command(tx, "settle", second))).toMatchObject({ code: "LGOVF" });
      await tx.unsafe("rollback to s");
      // In a batch it does not stop the others.
      const receipts = await post(tx, "w", [
        { op: "settle", ...second, wallet_id: undefined },
        { op: "cancel", reservation_id: "r", idempotency_key: "3" },
      ]);
      expect(receipts.map((r) => r.refused ?? r.event)).toEqual(["LGOVF", "cancelled"]);
      const charge = { op: "charge", amount: 1, idempotency_key: "4" };
      const many = await postMany(tx, [
        { op: "charge", wallet_id: "full", amount: 1, idempotency_key: "4" },
        { ...charge, wallet_id: "other" },
        { op: "settle", ...first, idempotency_key: "5" },
      ]);
      expect(many.map((r) => r.refused ?? r.event)).toEqual(["LGNSF", "charged", "LGEND"]);
    });
  });

  test("all that a wallet at its limits holds can still come back", async () => {
    await input.undone(async (tx) => {
      const cancel = { wallet_id: "full", reservation_id: "open", idempotency_key: "1" };
      expect(await command(tx, "cancel", cancel)).toMatchObject({ available: MAX });
    });
    await input.undone(async (tx) => {
      const settle = { wallet_id: "full", reservation_id: "open", amount: MAX };
      const receipt = await command(tx, "settle", { ...settle, idempotency_key: "1" });
      expect(receipt).toMatchObject({ available: 0n, spent: MAX });
      const more = { wallet_id: "full", amount: MAX, idempotency_key: "2" };
      expect(await command(tx, "credit", more)).toMatchObject({ available: MAX });
    });
  });
});
