import { expect, test, vi } from "vitest";
import { encode, isBatched } from "../../src/client/commands.ts";

vi.mock("../../src/generated/index.ts", async (load) => ({
  ...(await load<typeof import("../../src/generated/index.ts")>()),
  BATCH_FIELDS: {
    topUp: {
      op: "top_up",
      fields: [
        ["atLeast", "at_least", "bigint"],
        ["ttl", "ttl", "interval"],
      ],
    },
  },
}));

test("a command of two words is encoded by its names in SQL", () => {
  expect(isBatched("topUp")).toBe(true);
  expect(isBatched("top_up")).toBe(false);
  const text = encode("topUp" as "extend", { atLeast: 5n, ttl: null } as never);
  expect(text).toBe('{"op":"top_up","at_least":5}');
});
