import { expect, test } from "vitest";
import { createIdempotencyKey, keyOf } from "../../src/client/keys.ts";

test("keys are 22 characters that need no escape, and no two are the same", () => {
  const keys = Array.from({ length: 20_000 }, createIdempotencyKey);
  expect(new Set(keys).size).toBe(keys.length);
  for (const key of keys) expect(key).toMatch(/^\w[\w~]{21}$/);
});

test("later keys come after earlier ones in the order of their bytes", () => {
  const keys = [0, 63, 64, 1_795_000_000_000, 1_795_000_000_001, 2 ** 48 - 1].map(keyOf);
  expect(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))).toEqual(keys);
});
