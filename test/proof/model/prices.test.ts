// What the model says of usage, by costs that were worked out by hand.
import { expect, test } from "vitest";
import type { Json } from "../../../src/json/index.ts";
import { findBroken } from "../invariants.ts";
import { byOperator, callPrices } from "../ledger.ts";
import type { Arguments } from "../requests.ts";
import { affordable, quote } from "./prices.ts";
import { type Scene, scene, time } from "./scene.ts";

const GPT = "openai/gpt-5";
const NOON = "2027-01-15T12:00:00";

function set({ ledger }: Scene, at: string, model: string, args: Arguments): string {
  const set = callPrices(
    ledger,
    "set_price",
    { model, ...args },
    byOperator(() => time(at)),
  );
  return "refused" in set ? String(set.detail.field) : "set";
}

/** $1.25 a million tokens of input, and $10 of output; above 200,000 twice as much. */
function priced(): Scene {
  const made = scene(10 ** 12);
  const rates = { input: 1_250_000_000, cache_read: 125_000_000, output: 10_000_000_000 };
  const double = { input: 2_500_000_000, cache_read: 250_000_000, output: 20_000_000_000 };
  set(made, "2027-01-01T00:00:00", GPT, { rates });
  set(made, "2027-01-01T00:00:00", GPT, { rates: double, above: 200_000 });
  return made;
}

const by = (usage: Json, more: Arguments = {}): Arguments => ({ usage, ...more });
const costOf = (made: Scene, usage: Json) => {
  const answer = made.do("charge", by(usage));
  return "refused" in answer ? answer.refused : (answer[0] as never as Charged).event.amount;
};
interface Charged {
  readonly event: { readonly amount: bigint };
}

test("nano-dollars, rounded up once", () => {
  const made = priced();
  expect(costOf(made, { model: GPT, input: 1200, output: 512 })).toBe(1_500_000n + 5_120_000n);
  // 0.125 and 125: 125.125 nano-dollars are 126 only together.
  const cheap = { rates: { input: 125_000, output: 125_000_000 } };
  set(made, "2027-01-02T00:00:00", "x/cheap", cheap);
  expect(costOf(made, { model: "x/cheap", input: 1, output: 1 })).toBe(126n);
  expect(costOf(made, { model: "x/cheap", input: 8, output: 1 })).toBe(126n);
  expect(costOf(made, { model: "x/cheap", input: 9, output: 1 })).toBe(127n);
});

test("all kinds of input decide the tier", () => {
  const made = priced();
  const half = { model: GPT, input: 100_000, cache_read: 100_000, output: 1 };
  expect(costOf(made, half)).toBe(125_000_000n + 12_500_000n + 10_000n);
  const more = { ...half, cache_read: 100_001 };
  expect(costOf(made, more)).toBe(250_000_000n + 25_000_250n + 20_000n);
  expect(findBroken(made.ledger.get("a") as never, made.ledger.prices)).toEqual([]);
});

test("an event that costs something else than its row says is found", () => {
  const made = priced();
  made.do("charge", by({ model: GPT, input: 1000 }));
  const wallet = made.ledger.get("a") as never;
  const [row, ...rest] = made.ledger.prices;
  const dearer = { ...row, rates: { ...row?.rates, input: 1_251_000_000n } } as never;
  expect(findBroken(wallet, [dearer, ...rest])).toEqual(["a: charged at 3 costs 1251000"]);
  expect(findBroken(wallet, rest)).toEqual(["a: charged at 3 costs undefined"]);
});

test("a settlement has the price of its opening", () => {
  const made = priced();
  made.do("reserve", by({ model: GPT, output: 100 }, { reservation_id: "r" }));
  set(made, NOON, GPT, { rates: { input: 1, output: 1 } });
  made.at("2027-01-15T12:00:01");
  expect(made.try("settle", by({ input: 8 }, { reservation_id: "r" }))).toBe("settled");
  expect(made.ledger.get("a")?.spent).toBe(10_000n);
  expect(costOf(made, { model: GPT, input: 8 })).toBe(1n);
});

test("fails closed, and says why", () => {
  const made = priced();
  set(made, NOON, "x/alias", { rates: null, alias_of: GPT });
  const why = (usage: Json) => made.why("charge", by(usage)).reason;
  expect(why({ model: "openai/gpt-6", input: 1 })).toBe("model");
  expect(why({ model: GPT, variant: "flex", input: 1 })).toBe("variant");
  expect(why({ model: GPT, input: 1, pages: 0 })).toBe("kind");
  expect(costOf(made, { model: "x/alias", input: 800 })).toBe(1_000_000n);
  expect(set(made, NOON, "x/alias", { rates: { input: 1 } })).toBe("model");
  expect(set(made, NOON, GPT, { rates: null, alias_of: "x/alias" })).toBe("model");
  expect(set(made, NOON, "x/b", { rates: null, alias_of: "x/alias" })).toBe("alias_of");
  const past = { rates: { input: 1 }, valid_from: "2026-01-01T00:00:00+00:00" };
  expect(set(made, NOON, GPT, past)).toBe("valid_from");
});

test("an amount pays for so many tokens of output, and not for one more", () => {
  const { ledger } = priced();
  const ask = (usage: Json) => ({ usage, at: time(NOON), scale: 9 });
  const usage = { model: GPT, input: 1000, output: 7 };
  expect(affordable(ledger.prices, ask(usage), 1_250_000n)).toBe(0n);
  expect(affordable(ledger.prices, ask(usage), 1_259_999n)).toBe(0n);
  expect(affordable(ledger.prices, ask(usage), 1_260_000n)).toBe(1n);
  expect(affordable(ledger.prices, ask(usage), 1_249_999n)).toBe(0n);
  expect(quote(ledger.prices, ask(usage))).toMatchObject({ amount: 1_320_000n, price_id: 1n });
});
