// Fixed sequences of calls by usage, in the database and in the model: one for each rule of prices.
import { expect, test } from "vitest";
import type { Json } from "../../src/json/index.ts";
import { templateServer } from "../support/server.ts";
import { copyTemplate } from "../support/template.ts";
import type { Budget } from "./part.ts";
import type { Arguments } from "./requests.ts";
import { formatDifference, type Step } from "./sequences/compare.ts";
import { withPlayers } from "./sequences/players.ts";

type Args = Record<string, Json>;
const ONE = 1_000_000;

let calls = 0;
const step = (call: string, args: Arguments = {}): Step => {
  calls += 1;
  return { call, args: { wallet_id: "a", idempotency_key: `#${calls}`, ...args }, look: null };
};
const price = (model: string, rates: Args | null, more: Args = {}): Step => {
  return { call: "set_price", args: { model, rates, ...more }, look: null };
};
const by = (usage: Json, more: Args = {}): Args => ({ usage, ...more });
const reserve = (usage: Json, more: Args = {}) =>
  step("reserve", by(usage, { reservation_id: "r1", ttl: 600, ...more }));
const settle = (usage: Json, more: Args = {}) =>
  step("settle", by(usage, { reservation_id: "r1", ...more }));
const charge = (usage: Json, more: Args = {}) => step("charge", by(usage, more));
/** Commands of one batch, each with a key of its own. */
const post = (...steps: readonly Step[]) => {
  const commands = steps.map(({ call: op, args: { wallet_id: _, ...args } }) => ({ op, ...args }));
  return step("post", { commands: commands as Json });
};
const postMany = (...steps: readonly Step[]) => {
  const commands = steps.map(({ call: op, args }) => ({ op, ...args }));
  return { call: "post_many", args: { commands: commands as Json }, look: null };
};

const START: readonly Step[] = [
  price("x/one", { input: ONE, output: 3 * ONE, cache_read: ONE / 4 }),
  price("x/one", { input: 2 * ONE, output: 5 * ONE, cache_read: ONE / 2 }, { above: 10 }),
  price("x/one", { input: ONE / 2, output: ONE }, { variant: "batch" }),
  price("x/two/three", { input: 7 * ONE }),
  price("y/one", { input: 9 * ONE }),
  price("x/free", { input: 0, output: 0 }),
  price("x/euro", { input: ONE }, { currency: "EUR" }),
  price("x/it", null, { alias_of: "x/one" }),
  price("x/dear", { input: 10 ** 18 }),
  ...["a", "b"].flatMap((wallet_id) => [
    step("open_wallet", { wallet_id, unit: "USD", scale: 9 }),
    step("credit", { wallet_id, amount: 1000 }),
  ]),
  step("open_wallet", { wallet_id: "c", unit: "USD", scale: 5 }),
  step("credit", { wallet_id: "c", amount: 1000 }),
  step("open_wallet", { wallet_id: "d", unit: "USD", scale: 9, restricted: true }),
  step("credit", { wallet_id: "d", amount: 1000 }),
];

const one = { model: "x/one", input: 4 };
const limit = (of: string, amount: number | null, more: Args = {}) => {
  const its = { per: "day", by: [], of, time_zone: "UTC", hard: true, alert_at: [], ...more };
  return step("set_limit", { limit_id: "l", amount, ...its });
};

const RULES: Readonly<Record<string, readonly Step[]>> = {
  "a cost is rounded up once": [
    charge({ model: "x/one", input: 1, cache_read: 1 }),
    charge({ model: "x/one", cache_read: 3 }),
    charge({ model: "x/one", cache_read: 4, output: 2 }),
    charge({ model: "x/one", variant: "batch", input: 1 }),
  ],
  "all kinds of input decide the tier, and hold for the whole request": [
    charge({ model: "x/one", input: 10, output: 20 }),
    charge({ model: "x/one", input: 11 }),
    charge({ model: "x/one", input: 6, cache_read: 5, output: 1 }),
    charge({ model: "x/one", input: 10, output: 1 }),
  ],
  "names are exact, aliases are resolved, and everything else has no price": [
    charge({ model: "x/two/three", input: 1 }),
    charge({ model: "y/one", input: 1 }),
    charge({ model: "x/it", input: 3 }),
    charge({ model: "x/it", variant: "batch", input: 3 }),
    ...["x/One", "x/none", "x/two", "y/it"].map((model) => charge({ model, input: 1 })),
    charge({ model: "x/one", variant: "flex", input: 1 }),
    charge({ model: "x/one", variant: "", input: 1 }),
    charge({ model: "x/it", variant: "", input: 1 }),
    charge({ model: "x/one", variant: "batch", cache_read: 0 }),
    charge({ model: "x/one", input: 1, pages: 1 }),
    charge({ model: "x/euro", input: 1 }),
    step("charge", { wallet_id: "c", usage: one }),
  ],
  "usage that is impossible": [
    ...[{}, [], "x", 7, { model: "x/one" }, { input: 1 }].map((usage) => charge(usage)),
    ...["x", "/one", "x/", "", 7, {}].map((model) => charge({ model, input: 1 })),
    ...[-1, 1.5, "1", true, null, [1], {}, 10 ** 12 + 1].map((input) =>
      charge({ model: "x/one", input }),
    ),
    ...[7, null, {}].map((variant) => charge({ model: "x/one", variant, input: 1 })),
    reserve(one),
    ...[{}, [], { model: null, input: 1 }].map((usage) => settle(usage)),
    charge({ model: "x/free", input: 10 ** 12 }),
    charge({ model: "x/dear", input: 10 ** 12 }),
    charge(one, { amount: 4 }),
    step("reserve", { reservation_id: "r1", ttl: 600 }),
    post(charge(one, { amount: 4 }), step("charge"), charge({ ...one, input: "4" }), charge(one)),
    post({ ...settle(one), call: "cancel" }, { ...charge(one), call: "extend" }),
  ],
  "nothing is free but what has the price 0": [
    reserve({ model: "x/free", input: 5, output: 5 }),
    charge({ model: "x/free", input: 5 }),
    charge({ model: "x/free", cache_read: 1 }),
    settle({ input: 9 }),
    step("charge", { amount: 0 }),
  ],
  "a settlement has the model and the variant of its opening": [
    reserve({ model: "x/one", variant: "batch", input: 4 }),
    settle({ input: 3 }, { final: false }),
    settle({ variant: "standard", input: 3 }, { final: false }),
    settle({ model: "y/one", variant: "standard", input: 1 }, { final: false }),
    settle({ model: "y/one", input: 1 }, { final: false }),
    settle({ input: 3, cache_read: 1 }),
    settle({ output: 1 }),
    settle({ output: 1 }),
  ],
  "what was opened by an amount is settled by usage, and the reverse": [
    step("reserve", { reservation_id: "r1", amount: 50, ttl: 600 }),
    settle({ input: 3 }),
    settle({ model: "x/it", input: 3 }, { final: false }),
    step("settle", { reservation_id: "r1", amount: 2 }),
    reserve(one, { reservation_id: "r2" }),
    step("settle", { reservation_id: "r2", amount: 2, final: false }),
    settle({ output: 1 }, { reservation_id: "r2" }),
    settle({ input: 1 }, { reservation_id: "nobody's" }),
    settle(one, { reservation_id: "nobody's" }),
  ],
  "a call has the price of its opening": [
    reserve({ model: "x/one", input: 4 }),
    reserve({ model: "x/it", input: 4 }, { reservation_id: "r2" }),
    step("reserve", { reservation_id: "r3", amount: 50, ttl: 600 }),
    step("wait", { seconds: 1 }),
    price("x/one", { input: 100 * ONE, output: 100 * ONE, cache_read: ONE }),
    price("x/one", { input: 200 * ONE, output: 200 * ONE }, { above: 10 }),
    price("x/it", null, { alias_of: "y/one" }),
    step("wait", { seconds: 1 }),
    settle({ input: 4, output: 1 }, { final: false }),
    settle({ input: 11 }, { final: false }),
    settle({ output: 1 }, { reservation_id: "r2", final: false }),
    settle({ model: "x/it", output: 1 }, { reservation_id: "r2" }),
    settle({ model: "x/it", input: 1 }, { reservation_id: "r3" }),
    charge({ model: "x/one", input: 1 }),
    charge({ model: "x/it", input: 1 }),
    step("wait", { seconds: 601 }),
    settle({ input: 4 }, { final: false }),
    settle({ input: 4 }),
  ],
  "a price that holds later does not hold now": [
    price("x/one", { input: 50 * ONE }, { valid_from: "2100-01-01T00:00:00+00:00" }),
    price("x/new", { input: ONE }, { valid_from: "2100-01-01T00:00:00+00:00" }),
    charge(one),
    charge({ model: "x/new", input: 1 }),
    step("travel", { to: "2100-01-01T00:00:01+00:00" }),
    charge(one),
    charge({ model: "x/new", input: 1 }),
  ],
  "a key stands for its usage, whatever it costs meanwhile": [
    reserve(one, { idempotency_key: "k" }),
    settle({ input: 3 }, { idempotency_key: "s", final: false }),
    price("x/one", { output: ONE }),
    reserve(one, { idempotency_key: "k" }),
    settle({ input: 3 }, { idempotency_key: "s", final: false }),
    post(reserve(one, { idempotency_key: "k" }), settle({ input: 3 }, { idempotency_key: "s" })),
    reserve({ model: "x/one", input: 5 }, { idempotency_key: "k" }),
    reserve({ ...one, variant: "standard" }, { idempotency_key: "k" }),
    step("reserve", { reservation_id: "r1", ttl: 600, amount: 4, idempotency_key: "k" }),
    step("charge", { amount: 4, idempotency_key: "c", reservation_id: "c" }),
    charge({ model: "y/one", input: 1 }, { idempotency_key: "c", reservation_id: "c" }),
  ],
  "less than the cost may be granted, as far as it was allowed": [
    reserve({ model: "x/one", input: 4 }, { at_least: 4 }),
    reserve({ model: "x/one", input: 4 }, { at_least: 5, reservation_id: "r2" }),
    reserve({ model: "x/one", output: 1000 }, { at_least: 10, reservation_id: "r3" }),
    settle({ output: 1000 }, { reservation_id: "r3" }),
    reserve({ model: "x/free", input: 4 }, { at_least: 1, reservation_id: "r4" }),
    reserve(one, { at_least: 0, reservation_id: "r5" }),
  ],
  "limits by model count the model of the usage": [
    limit("amount", 10, { by: ["model"] }),
    charge({ model: "x/it", input: 8 }, { metadata: { model: "mine" } }),
    charge({ model: "x/one", input: 3 }, { metadata: { user: "ann" } }),
    charge({ model: "y/one", input: 1 }),
    step("charge", { amount: 9, metadata: { model: "x/one" } }),
    reserve({ model: "x/it", input: 2 }),
    post(charge({ model: "x/it", input: 1 }), settle({ input: 2, output: 3 })),
    step("reservation", { reservation_id: "r1" }),
    step("limits"),
  ],
  "limits of open reservations know which settlement is the last": [
    limit("open", 1, { per: "ever" }),
    reserve(one),
    settle({ input: 1 }, { final: false }),
    reserve(one, { reservation_id: "r2" }),
    settle({ input: 1 }),
    reserve(one, { reservation_id: "r2" }),
    step("limits"),
  ],
  "limits of tokens count what came in and what went out": [
    limit("tokens", 20, { alert_at: [50, 100] }),
    reserve({ model: "x/one", input: 6, output: 2, cache_read: 2 }),
    reserve({ model: "x/one", input: 11 }, { reservation_id: "r2", at_least: 1 }),
    step("reserve", { reservation_id: "r2", amount: 100, ttl: 600 }),
    settle({ input: 4 }, { final: false }),
    step("settle", { reservation_id: "r1", amount: 1, final: false }),
    step("limits"),
    charge({ model: "x/one", output: 10 }),
    step("refund", { reservation_id: "r1", amount: 1 }),
    settle({ input: 30 }),
    step("limits"),
    charge({ model: "x/free", input: 1 }),
    step("charge", { amount: 1 }),
    step("clear_counters", { limit: 1000 }),
    step("limits"),
  ],
  "batches price each command by its wallet": [
    post(reserve(one), settle({ input: 3 }, { final: false }), charge({ model: "x/it", input: 2 })),
    post(reserve({ model: "x/none", input: 1 }, { reservation_id: "r2" }), charge(one)),
    postMany(
      charge(one),
      charge(one, { wallet_id: "b" }),
      charge(one, { wallet_id: "c" }),
      reserve(one, { wallet_id: "b", reservation_id: "r2" }),
      settle({ output: 1 }, { wallet_id: "b", reservation_id: "r2" }),
      charge(one, { wallet_id: "d" }),
      charge({ model: "x/none", input: 1 }, { wallet_id: "d" }),
      charge(one, { wallet_id: "nobody" }),
    ),
    step("close_wallet", { wallet_id: "b", reason: "over" }),
    charge(one, { wallet_id: "b" }),
    charge(one, { wallet_id: "b", already_spent: true }),
    post(settle({ output: 1 }), step("cancel", { reservation_id: "r2" })),
  ],
  "a model without tiers costs the same in a batch as by itself": [
    price("y/one", { input: 8 * ONE, output: ONE }, { variant: "batch" }),
    reserve({ model: "y/one", input: 4 }),
    reserve({ model: "y/one", variant: "batch", input: 4 }, { reservation_id: "r2" }),
    step("wait", { seconds: 1 }),
    price("y/one", { input: 5 * ONE, output: 2 * ONE }),
    price("y/it", null, { alias_of: "y/one" }),
    step("wait", { seconds: 1 }),
    reserve({ model: "y/it", input: 2 }, { reservation_id: "r3" }),
    price("y/it", null, { alias_of: "x/two/three" }),
    post(
      charge({ model: "y/one", input: 1 }),
      settle({ input: 1 }, { final: false }),
      charge({ model: "y/one", input: 3 }),
      settle({ input: 1 }, { reservation_id: "r2", final: false }),
      charge({ model: "y/one", variant: "batch", output: 1 }),
      charge({ model: "y/one", input: 1, output: 1 }),
      charge({ model: "x/two/three", input: 1 }),
      settle({ input: 1 }, { reservation_id: "r3" }),
      charge({ model: "y/it", input: 1 }),
      settle({ model: "y/it", input: 1 }),
      ...[-1, 1.5, "1", true, null, [1], 10 ** 12 + 1].map((input) =>
        charge({ model: "y/one", input }),
      ),
      charge({ model: "y/one", input: 1, pages: 1 }),
      charge({ model: "y/one" }),
      charge({ model: "x/euro", input: 1 }),
    ),
    postMany(
      charge({ model: "y/one", input: 1 }),
      charge({ model: "y/one", input: 1 }, { wallet_id: "c" }),
      charge({ model: "y/one", input: 1 }, { wallet_id: "b" }),
    ),
  ],
  "what is not the caller's is not priced for him": [
    step("allow", { wallet_id: "d", role: "ledger_test_ann", labels: {}, free_labels: ["*"] }),
    step("allow", {
      wallet_id: "d",
      role: "ledger_test_bob",
      labels: { user: "bob" },
      free_labels: [],
    }),
    {
      ...reserve(one, { wallet_id: "d" }),
      as: { login: "ledger_test_ann", role: null, key: null },
    },
    ...[{ input: 1 }, { model: "x/none", input: 1 }, one].map((usage): Step => {
      const as = { login: "ledger_test_bob", role: null, key: null };
      return { ...settle(usage, { wallet_id: "d" }), as };
    }),
    {
      ...charge({ model: "x/it", input: 2 }, { wallet_id: "d", metadata: { user: "ann" } }),
      as: { login: "ledger_test_bob", role: null, key: null },
    },
    {
      ...charge({ model: "x/it", input: 2 }, { wallet_id: "d", reservation_id: "c" }),
      as: { login: "ledger_test_bob", role: null, key: null },
    },
    step("reservation", { wallet_id: "d", reservation_id: "c" }),
    {
      ...postMany(
        ...[{ input: 1 }, { model: "x/none", input: 1 }, one, []].map((usage) =>
          settle(usage, { wallet_id: "d" }),
        ),
        charge(one, { wallet_id: "d" }),
      ),
      as: { login: "ledger_test_bob", role: null, key: null },
    },
    {
      ...charge({ model: "x/it", input: 2 }, { wallet_id: "d" }),
      as: { login: "ledger_test_ann", role: "ledger_test_team", key: null },
    },
  ],
  "what was spent already is charged whatever there is": [
    charge({ model: "x/one", output: 1000 }, { already_spent: true }),
    charge({ model: "x/none", output: 1000 }, { already_spent: true }),
  ],
  "quotes cost nothing, and say what it would cost": [
    ...[9, 18, 6, 5, 19, -1].map((scale) =>
      step("quote", { usage: { model: "x/it", input: 11, output: 1 }, scale }),
    ),
    step("quote", { usage: { model: "x/none", input: 1 }, scale: 9 }),
    step("quote", { usage: one, scale: 9, at: "2020-01-01T00:00:00+00:00" }),
    step("quotes", { usages: [one, { model: "x/it", output: 1 }], scale: 9 }),
    step("quotes", { usages: [one, { model: "x/none", output: 1 }, 7], scale: 9 }),
    step("quotes", { usages: [one, { model: "x/one", variant: null, output: 1 }], scale: 9 }),
    ...[0, 5, 6, 7, 8, 9, 10 ** 15].map((amount) =>
      step("affordable", { usage: { model: "x/one", input: 5, output: 9 }, amount, scale: 9 }),
    ),
    step("affordable", { usage: { model: "x/one", input: 11 }, amount: 40, scale: 9 }),
    step("affordable", { usage: { model: "x/free", input: 11 }, amount: 0, scale: 9 }),
    step("affordable", { usage: { model: "y/one", input: 11 }, amount: 1000, scale: 9 }),
  ],
  "a name is a model or an alias for ever, and the past keeps its prices": [
    price("x/it", { input: ONE }),
    price("x/one", null, { alias_of: "y/one" }),
    price("x/that", null, { alias_of: "x/it" }),
    price("x/that", null, { alias_of: "x/none" }),
    price("x/one", { input: 1 }, { valid_from: "2020-01-01T00:00:00+00:00" }),
    price("x/one", { input: 1 }, { valid_from: "-infinity", above: 99 }),
    price("x/new", { input: 1 }, { valid_from: "-infinity" }),
    price("x/one", { input: ONE, output: 3 * ONE, cache_read: ONE / 4 }),
    price("x/one", { input: ONE / 2, output: ONE }, { variant: "batch", max_output: 5 }),
    step("list_prices", { prefix: "x/", history: false }),
    step("list_prices", { prefix: "", history: true }),
    step("affordable", {
      usage: { model: "x/one", variant: "batch", input: 1 },
      amount: 40,
      scale: 9,
    }),
  ],
};

const names = Object.keys(RULES);

test("calls by usage come out as the model says", { timeout: 120_000 }, async () => {
  const createDatabase = () => copyTemplate(templateServer());
  const found: string[] = [];
  let played = 0;
  await withPlayers({ createDatabase } as Budget, async (player) => {
    for (let name = names[played++]; name !== undefined; name = names[played++]) {
      const difference = await player.play({ start: START, sequences: [RULES[name] ?? []] });
      if (difference) found.push(`${name}: ${formatDifference(difference)}`);
    }
  });
  expect(found).toEqual([]);
});
