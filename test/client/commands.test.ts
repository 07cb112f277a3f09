import { expect, test, vi } from "vitest";
import { encode, isBatched } from "../../src/client/commands.ts";

vi.mock("../../src/generated/index.ts", async (load) => ({
  ...(await load<typeof import("../../src/generated/index.ts")>()),
  BATCH_FIELDS: {
    twoWords: {
      op: "two_words",
      fields: [
        ["atLeast", "at_least", "bigint"],
        ["ttl", "ttl", "interval"],
      ],
    },
  },
}));

test("a command of two words is encoded by its names in SQL", () => {
  expect(isBatched("twoWords")).toBe(true);
  expect(isBatched("two_words")).toBe(false);
  const text = encode("twoWords" as "extend", { atLeast: 5n, ttl: null } as never);
  expect(text).toBe('{"op":"two_words","at_least":5}');
});
