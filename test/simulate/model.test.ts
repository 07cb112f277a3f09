import postgres from "postgres";
import { expect, test } from "vitest";
import {
  balance,
  cancel,
  credit,
  InsufficientFundsError,
  openWallet,
  reserve,
  settle,
} from "../../src/index.ts";
import { createModel } from "../../src/simulate/model.ts";
import { createRandom } from "../../src/trace/index.ts";
import { createDatabase } from "../support/server.ts";

test("the model answers like the ledger, whatever the order of commands", async () => {
  await using database = await createDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const walletId = "w";
  await openWallet(sql, { walletId });
  await credit(sql, { walletId, amount: 1_000n, idempotencyKey: "credit" });
  const model = createModel(1_000n);
  const random = createRandom(42);
  const upTo = (most: number) => BigInt(Math.floor(random.uniform() * most));
  const open: number[] = [];
  let refused = 0;
  for (let id = 0; id < 300; id += 1) {
    const reservationId = String(id);
    const chance = random.uniform();
    const ended = chance > 0.5 ? open.splice(Number(upTo(open.length)), 1)[0] : undefined;
    if (ended === undefined) {
      const amount = upTo(120) + 1n;
      const granted = await reserve(sql, { walletId, amount, idempotencyKey: reservationId }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof InsufficientFundsError) return false;
          throw error;
        },
      );
      expect(model.reserve(id, amount)).toBe(granted);
      if (granted) open.push(id);
      else refused += 1;
    } else if (chance > 0.9) {
      // A cancellation releases as an expiry does, without the wait for a deadline.
      await cancel(sql, {
        walletId,
        reservationId: String(ended),
        idempotencyKey: `end-${ended}`,
      });
      model.expire(ended);
    } else {
      const amount = upTo(100) / 4n;
      await settle(sql, {
        walletId,
        reservationId: String(ended),
        amount,
        idempotencyKey: `end-${ended}`,
      });
      expect(model.settle(ended, amount)?.late).toBe(false);
    }
    expect(await balance(sql, { walletId })).toMatchObject(model.funds());
  }
  expect(refused).toBeGreaterThan(10);
  await sql.end();
});
