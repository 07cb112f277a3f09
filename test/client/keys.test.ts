import { expect, test } from "vitest";
import { createKey } from "../../src/client/keys.ts";

test("keys are 22 characters that need no escape, and no two are the same", () => {
  const keys = Array.from({ length: 20_000 }, createKey);
  expect(new Set(keys).size).toBe(keys.length);
  for (const key of keys) expect(key).toMatch(/^[-\w]{22}$/);
});

test("later keys come after earlier ones in the order of their bytes", () => {
  const times = [0, 63, 64, Date.now(), Date.now() + 1, 2 ** 48 - 1];
  const now = Date.now;
  try {
    const keys = times.map((time) => {
      Date.now = () => time;
      return createKey();
    });
    expect(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))).toEqual(keys);
  } finally {
    Date.now = now;
  }
});
