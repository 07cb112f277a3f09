// The field in a small size, and that it can fail; `npm run proof -- --only field` runs it longer.

import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import type { Ledger } from "../../src/client/ledger.ts";
import type { Reservation } from "../../src/client/reservation.ts";
import { LedgerError } from "../../src/errors/index.ts";
import { createRandom } from "../../src/trace/index.ts";
import { templateServer } from "../support/server.ts";
import { copyTemplate } from "../support/template.ts";
import type { Entry } from "./faults/journal.ts";
import { createGuards } from "./field/guards.ts";
import { FAULTS, fieldPart } from "./field/index.ts";
import { createMeasure } from "./field/measure.ts";

const PATIENCE_MS = 300_000;

/** The quick faults; the others run in `npm run proof`. */
const QUICK = ["lockedWallets", "migrations", "refusedStarts", "poolerKills", "failOvers"];
const here = QUICK.filter((name) => FAULTS.some((each) => each.name === name && !each.skipped));
const skipped = FAULTS.filter(({ name }) => !here.includes(name)).map(({ name, skipped: why }) => {
  return `${name}${why ? ` (${why})` : ""}`;
});

test(`callers are answered through ${here.join(", ")}; skipped: ${skipped.join(", ")}`, {
  timeout: PATIENCE_MS,
}, async () => {
  const { ran, failure } = await fieldPart(here).run({
    seed: randomInt(1_000_000),
    runs: here.length,
    until: performance.now() + PATIENCE_MS,
    log: () => undefined,
    createDatabase: () => copyTemplate(templateServer()),
  });
  expect(failure).toBeUndefined();
  expect(ran.rawErrors).toBe(0);
  for (const name of here) expect(ran[name], name).toBe(1);
  expect(ran.granted).toBeGreaterThan(100);
  expect(ran.guards).toBeGreaterThan(50);
});

test("errors other than refusals are counted, and waits are measured", () => {
  const measure = createMeasure();
  const answered = measure.wait("free", "a charge");
  measure.wait("shut", "another one");
  expect(measure.longest().what).toBe("a charge");
  answered();
  expect(measure.answers).toBe(1);
  measure.error("a charge", new LedgerError("LGNSF", { message: "not enough" }));
  expect(measure.errors.size).toBe(0);
  for (const pid of [17, 18]) {
    const error = Object.assign(new Error(`blocked by ${pid}`), { code: "55P03" });
    measure.error("a charge", error);
  }
  expect([...measure.errors]).toEqual([["a charge: Error 55P03: blocked by …", 2]]);
  measure.begin();
  expect(measure.errors.size).toBe(0);
});

test("a guarded call that is lost, doubled or booked wrongly is found", async () => {
  let spent = 0n;
  const lost = new AbortController();
  const measure = createMeasure();
  const ledger: Pick<Ledger, "guard"> = {
    guard: async (_options, callback) => {
      const spend = (amount: bigint) => {
        spent = amount;
      };
      return callback({ spend, signal: lost.signal } as Reservation);
    },
  };
  const guards = createGuards("w", measure, () => false);
  // With this seed the call does not throw.
  const random = createRandom(2);
  const lasts = async () => undefined;
  const how = { wallet: "a", random, group: "free", lasts, ttl: 60, by: "a caller" } as const;
  await guards.run(ledger as Ledger, how);
  const entry = (event: string, amount: bigint) =>
    ({
      wallet_id: "a",
      event,
      amount,
      reservation_id: "w-guard0",
      metadata: {},
    }) as unknown as Entry;
  const reserved = entry("reserved", 60n);
  const settled = entry("settled", spent);
  const found = (...entries: Entry[]) => guards.complete(entries).wrong[0] ?? "nothing";
  expect(found(reserved, settled)).toBe("nothing");
  expect(found()).toMatch(/^a guard was lost/);
  expect(found(reserved)).toMatch(/^a guard spent something else/);
  expect(found(reserved, entry("settled", spent + 1n))).toMatch(/^a guard spent something else/);
  expect(found(reserved, settled, settled)).toMatch(/^a guard is there twice/);
  expect(found(reserved, entry("expired", 60n), settled)).toMatch(/^a guard expired while it ran/);

  expect(measure.findings).toEqual([]);
  lost.abort(new Error("too late"));
  await guards.run(ledger as Ledger, how);
  expect(measure.findings[0]).toMatch(/has lost its hold on a: Error: too late/);
});
