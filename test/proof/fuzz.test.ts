import { expect, test } from "vitest";
import { createDatabase } from "../support/server.ts";
import { fuzz } from "./fuzz/index.ts";

test("every function answers, or refuses with a code, whatever it is asked", async () => {
  await using database = await createDatabase();
  const runs = 25;
  const outcome = await fuzz(database.url, {
    seed: Date.now() % 2 ** 31,
    runs,
    until: performance.now() + 50_000,
  });
  expect(outcome.failure).toBeUndefined();
  expect(outcome.ran.sequences).toBe(runs);
});
