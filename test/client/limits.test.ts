// guard and hold in wallets with limits: labels, and waiting for what a limit leaves.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import type { Reservation } from "../../src/client/reservation.ts";
import {
  InsufficientFundsError,
  LimitReachedError,
  WalletNotFoundError,
} from "../../src/errors/index.ts";
import * as admin from "../../src/generated/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createClient, isSettled, rejection } from "./support.ts";

let database: TestLedger;
let ledger: Ledger;
let others: Ledger;
let walletId: string;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createClient(database);
  others = createClient(database);
});
afterAll(async () => {
  await Promise.all([ledger.close(), others.close()]);
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});
beforeEach(async () => {
  walletId = await openWallet(database, `limited-${++wallets}`, 1_000n);
});

type Terms = Partial<Omit<admin.SetLimitArgs, "walletId" | "limitId">>;

async function setLimit(amount: bigint, terms: Terms = {}): Promise<void> {
  const limit = { walletId, limitId: "limit", amount, per: "ever", ...terms };
  await admin.setLimit(database.operator, limit);
}

const spendAll = (reservation: Reservation): void => reservation.spend(reservation.amount);

describe("labels", () => {
  test("go into the metadata of the reservation, over what that says", async () => {
    const metadata = { user: "bob", note: 7 };
    const labels = { user: "ann", run: "run-7" };
    await using held = await ledger.hold({ walletId, amount: 1n, metadata, labels });
    const found = await admin.reservation(database.agent, { walletId, reservationId: held.id });
    expect(found.metadata).toEqual({ user: "ann", run: "run-7", note: 7 });
  });

  test("are what limits count by", async () => {
    await setLimit(10n, { by: ["user"] });
    const asked = { walletId, amount: 10n };
    await ledger.guard({ ...asked, labels: { user: "ann" } }, spendAll);
    await ledger.guard({ ...asked, labels: { user: "bob" } }, spendAll);
    const again = ledger.guard({ ...asked, labels: { user: "ann" } }, spendAll);
    expect(await rejection(LimitReachedError, again)).toMatchObject({
      limitId: "limit",
      values: ["ann"],
      used: 10n,
      amount: 10n,
      reason: "exhausted",
    });
  });

  test.each([
    ["no text", { user: 7 }],
    ["an empty text", { user: "" }],
    ["256 bytes", { user: "é".repeat(128) }],
  ])("that limits would not count are refused: %s", async (_, labels) => {
    const attempt = ledger.hold({ walletId, amount: 1n, labels: labels as never });
    await expect(attempt).rejects.toThrow(/label user must be a text of 1 to 255 bytes/);
  });
});

describe("a request that may wait", () => {
  test("gets what the limit leaves when others of its labels end", async () => {
    await setLimit(2n, { of: "open", by: ["user"] });
    let running = 0;
    let most = 0;
    const run = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await ledger.balance({ walletId });
      running -= 1;
    };
    const labels = { user: "ann" };
    const guards = Array.from({ length: 12 }, () =>
      ledger.guard({ walletId, amount: 1n, labels, wait: 60 }, async (reservation) => {
        await run();
        reservation.spend(1n);
      }),
    );
    await Promise.all(guards);
    expect(most).toBeLessThanOrEqual(2);
    expect((await ledger.balance({ walletId })).spent).toBe(12n);
  });

  test("holds up nobody with other labels, nor one that is small enough", async () => {
    await setLimit(10n, { by: ["user"] });
    const held = await others.hold({ walletId, amount: 8n, labels: { user: "ann" } });
    const asked = { walletId, wait: 60 };
    const large = ledger.hold({ ...asked, amount: 5n, labels: { user: "ann" } });
    await ledger.guard({ ...asked, amount: 10n, labels: { user: "bob" } }, spendAll);
    await ledger.guard({ ...asked, amount: 2n, labels: { user: "ann" } }, spendAll);
    expect(await isSettled(large)).toBe(false);
    await held.settle(0n);
    await (await large).cancel();
  });

  test("is tried when another client has ended a reservation", async () => {
    await setLimit(10n);
    const held = await others.hold({ walletId, amount: 8n });
    const waiting = ledger.hold({ walletId, amount: 5n, wait: 60 });
    await until("it waits", async () => !(await isSettled(waiting)));
    await held.cancel();
    await (await waiting).cancel();
  });

  test("is refused at once where waiting does not help", async () => {
    await setLimit(10n);
    await ledger.charge({ walletId, amount: 8n });
    const asked = { walletId, amount: 5n, wait: 60 };
    const error = await rejection(LimitReachedError, ledger.hold(asked));
    expect(error).toMatchObject({ reason: "exhausted", resetsAt: null, retryAt: null });
    await setLimit(1_000_000n);
    const more = ledger.hold({ ...asked, amount: 100_000n });
    expect(await rejection(InsufficientFundsError, more)).toMatchObject({ reason: "exhausted" });
  });

  test("is refused at once if the next window begins too late", async () => {
    await setLimit(10n, { per: "year" });
    await ledger.charge({ walletId, amount: 8n });
    const attempt = ledger.hold({ walletId, amount: 5n, wait: 60 });
    const { resetsAt } = await rejection(LimitReachedError, attempt);
    expect(resetsAt).toBeInstanceOf(Date);
  });

  test("learns that what was held is spent now", async () => {
    await setLimit(10n);
    const held = await ledger.hold({ walletId, amount: 8n });
    const waiting = Array.from({ length: 3 }, () =>
      ledger.hold({ walletId, amount: 5n, wait: 60 }),
    );
    const refused = waiting.map((one) => rejection(LimitReachedError, one));
    await held.settle(8n);
    for (const error of await Promise.all(refused)) {
      expect(error).toMatchObject({ reason: "exhausted", held: 0n });
    }
  });

  test("fails with the ledger's refusal when its time is up", async () => {
    await setLimit(10n);
    const held = await others.hold({ walletId, amount: 8n });
    const attempt = ledger.hold({ walletId, amount: 5n, wait: 0.2 });
    expect(await rejection(LimitReachedError, attempt)).toMatchObject({ reason: "held", used: 8n });
    await held.cancel();
  });
});

test("what was spent already is charged past limits, in a batch, too", async () => {
  await setLimit(10n);
  const charges = [1, 2, 3].map(() =>
    ledger.charge({ walletId, amount: 100n, alreadySpent: true }),
  );
  for (const receipt of await Promise.all(charges)) expect(receipt.event).toBe("charged");
  const [use] = await ledger.limits({ walletId });
  expect(use).toMatchObject({ used: 300n, remaining: 0n });
});

describe("a key", () => {
  test("is who the client is: for commands, reads and transactions of the caller's", async () => {
    const labels = { user: "ann" };
    const { keyId, secret } = await admin.createKey(database.operator, { walletId, labels });
    await rejection(WalletNotFoundError, ledger.reserve({ walletId, amount: 1n }));
    const client = createLedger(database.agent, { key: secret ?? "" });
    const receipts = await Promise.all(
      [1, 2, 3].map(() => client.reserve({ walletId, amount: 1n })),
    );
    expect(receipts.map(({ event }) => event)).toEqual(["reserved", "reserved", "reserved"]);
    expect(await client.balance({ walletId })).toMatchObject({ reserved: 3n });
    await database.agent.begin(async (tx) => {
      await client.with(tx).cancel({ walletId, reservationId: receipts[0]?.reservationId ?? "" });
    });
    const events = await database.auditor<{ actor: string }[]>`
      select distinct actor from baseledger.journal
        where wallet_id = ${walletId} and event in ('reserved', 'cancelled')`;
    expect(events).toHaveLength(1);
    expect(events[0]?.actor).toContain(keyId);
    // Nothing of it is left in the sessions, which others use as well.
    for (let i = 0; i < 8; i += 1) {
      const [row] = await database.agent`select current_setting('baseledger.key', true) as key`;
      expect(row?.key ?? "").toBe("");
    }
    for (const { reservationId } of receipts.slice(1))
      await client.cancel({ walletId, reservationId });
    await client.close();
  });

  test("that is revoked or wrong opens nothing, whoever the session is", async () => {
    const { keyId, secret } = await admin.createKey(database.operator, { walletId });
    const client = createLedger(database.operator, { key: secret ?? "" });
    await client.charge({ walletId, amount: 1n });
    await admin.revokeKey(database.operator, { walletId, keyId });
    await rejection(WalletNotFoundError, client.charge({ walletId, amount: 1n }));
    const wrong = createLedger(database.operator, { key: "bl_wrong" });
    await rejection(WalletNotFoundError, wrong.charge({ walletId, amount: 1n }));
    await Promise.all([client.close(), wrong.close()]);
  });

  test.each(["", null, 7])("that is %o is refused, not ignored", (key) => {
    expect(() => createLedger(database.agent, { key: key as never })).toThrow(TypeError);
  });
});
