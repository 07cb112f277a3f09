// Generates random sequences of commands that affect each other: few wallets, ids and keys, amounts
// close to the balances, deadlines passed by an hour or missed by a microsecond.
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import type { BatchOp } from "../../support/operations.ts";
import { BUSY } from "../ledger.ts";
import { AGENT_OPS, type Arguments, FUNDS_OPS, MAX, type Op } from "../requests.ts";
import { labels, sessions } from "./callers.ts";
import type { Step } from "./compare.ts";
import { asking, catalogue, pricing, withUsage } from "./prices.ts";
import { changing, settings } from "./settings.ts";
import { BEGINNINGS, bordering, passing } from "./times.ts";

type Call = Pick<Step, "call" | "args" | "as">;
/** A command with its `op`, as in a batch. */
export type Made = Record<string, Json>;

const HOME = "a";
export const WALLETS: readonly string[] = [HOME, "b", "c"];

/** One key in four is shared with others; the rest are made from the step's place. */
const FRESH = "fresh";
const key = fc.oneof(
  { arbitrary: fc.constant(FRESH), weight: 24 },
  { arbitrary: fc.constantFrom("k1", "k2"), weight: 6 },
  { arbitrary: fc.constantFrom(null, "", " \t", "x".repeat(256)), weight: 1 },
);
const id = fc.oneof(
  { arbitrary: fc.constantFrom("r1", "r1", "r2", "r3", "r4"), weight: 26 },
  { arbitrary: fc.constantFrom("k1", "k2"), weight: 2 },
  { arbitrary: fc.constantFrom(null, "nobody's", " "), weight: 1 },
);
// Sums of few numbers are often exactly the balance, or the limit.
const amount = fc.oneof(
  { arbitrary: fc.constantFrom(5, 10, 1, 2, 1, 2, 3), weight: 28 },
  { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 8 },
  { arbitrary: fc.integer({ min: 0, max: 60 }), weight: 4 },
  { arbitrary: fc.constantFrom(MAX, MAX - 1n, MAX - 20n, MAX / 2n), weight: 2 },
  { arbitrary: fc.constantFrom(null, 0, -1, -MAX), weight: 1 },
);
/** Seconds. */
const ttl = fc.oneof(
  { arbitrary: fc.constantFrom(null, 60, 600, 3600), weight: 24 },
  { arbitrary: fc.constantFrom(1, 90.5, 2_592_000), weight: 2 },
  { arbitrary: fc.constantFrom(0, 0.999999, 2_592_000.000001, -5), weight: 1 },
);
const metadata = fc.oneof(
  { arbitrary: labels, weight: 30 },
  { arbitrary: fc.constantFrom<Json[]>({}, { a: 1 }, { b: [1, null], a: "x" }), weight: 4 },
  { arbitrary: fc.constantFrom<Json[]>([], "x", 1), weight: 1 },
);
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { arbitrary: fc.constant(usual), weight: 6 * others.length },
    { arbitrary: fc.constantFrom(...others), weight: others.length },
  );

const common = { idempotency_key: key, metadata };
const OPS = {
  reserve: withUsage(
    fc.record({
      ...common,
      amount,
      ttl,
      reservation_id: id,
      at_least: mostly<Json>(null, 1, 5, 0),
    }),
  ),
  settle: withUsage(
    fc.record({
      ...common,
      amount,
      reservation_id: id,
      final: fc.constantFrom(null, true, false, false),
    }),
    true,
  ),
  cancel: fc.record({ ...common, reservation_id: id }),
  extend: fc.record({
    ...common,
    reservation_id: id,
    ttl,
    amount: fc.oneof(fc.constant(null), amount),
  }),
  charge: withUsage(
    fc.record({
      ...common,
      amount,
      reservation_id: id,
      already_spent: mostly<Json>(null, false, true, true),
    }),
  ),
  credit: fc.record({ ...common, amount }),
  withdraw: fc.record({ ...common, amount }),
  refund: fc.record({ ...common, amount, reservation_id: id }),
} satisfies Readonly<Record<BatchOp, unknown>>;
const WEIGHTS: Readonly<Record<keyof typeof OPS, number>> = {
  reserve: 8,
  settle: 6,
  cancel: 2,
  extend: 4,
  charge: 2,
  credit: 2,
  withdraw: 1,
  refund: 2,
};

const commandsOf = (ops: readonly Op[]) =>
  fc.oneof(
    ...Object.entries(OPS)
      .filter(([op]) => ops.includes(op as Op))
      .map(([op, record]) => ({
        arbitrary: record.map((args): Made => ({ op, ...args })),
        weight: WEIGHTS[op as keyof typeof OPS],
      })),
  );
const command = commandsOf(FUNDS_OPS);

/** Changes to a command that a batch must refuse, or parse differently. */
const spoil = fc.constantFrom<((made: Made) => Made)[]>(
  (made) => made,
  ({ op, ...made }) => ({
    op: op ?? "",
    ...Object.fromEntries(Object.entries(made).filter(([, v]) => v !== null)),
  }),
  (made) => ({ ...made, ...(typeof made.amount === "number" && { amount: String(made.amount) }) }),
  (made) => ({ ...made, ...("amount" in made && { amount: 1.5 }) }),
  (made) => ({ ...made, ...("amount" in made && { amount: "1e3" }) }),
  (made) => ({ ...made, ...("final" in made && { final: "false" }) }),
  (made) => ({ ...made, ammount: 1 }),
  (made) => ({ ...made, op: "transfer" }),
  (made) => ({ ...made, op: null }),
);
const inBatch = fc.oneof(
  { arbitrary: command, weight: 12 },
  { arbitrary: fc.tuple(command, spoil).map(([made, change]) => change(made)), weight: 2 },
);

/** Steps as they are drawn: fresh keys and repetitions are resolved in their places. */
export type Draft = Call | { readonly again: number; readonly by?: Step["as"] };

const wallet = fc.oneof(
  { arbitrary: fc.constant(HOME), weight: 20 },
  { arbitrary: fc.constantFrom("b", "c"), weight: 3 },
  { arbitrary: fc.constantFrom("nobody", "", null), weight: 1 },
);
const single = fc
  .tuple(wallet, command, sessions)
  .map(([wallet_id, { op, ...args }, as]): Draft[] => [
    { call: String(op), args: { wallet_id, ...args }, ...(as && { as }) },
  ]);
/** Makes all commands of a batch about the same few reservations; without `ids`, about any. */
export const about = (commands: readonly Made[], ids: readonly string[]) =>
  withModels(
    commands.map((made, i) => {
      const reservation_id = ids[i % ids.length];
      return reservation_id && made.reservation_id != null ? { ...made, reservation_id } : made;
    }),
  );
/** Names the model of settlements whose reservation the same list may have opened. */
export function withModels(commands: readonly Made[]): Made[] {
  return commands.map((made, i) => {
    const { op, usage, reservation_id } = made;
    const opens = commands.slice(0, i).some((each) => {
      const its = each.reservation_id ?? each.idempotency_key;
      return (each.op === "reserve" || each.op === "charge") && its === reservation_id;
    });
    const isObject = typeof usage === "object" && usage !== null && !Array.isArray(usage);
    if (op !== "settle" || !opens || usage == null) return made;
    const given = isObject ? (usage as Made) : { input: -1 };
    const its = { model: "x/one", variant: "standard", ...given };
    return { ...made, usage: its };
  });
}
const batch = fc
  .tuple(
    fc.constantFrom("post", "post", "post_funds"),
    wallet,
    fc.array(inBatch, { maxLength: 6 }),
    fc.constantFrom([], ["r1"], ["r1", "r1", "r2"]),
    sessions,
  )
  .map(([call, wallet_id, commands, ids, as]): Draft[] => [
    { call, args: { wallet_id, commands: about(commands, ids) }, ...(as && { as }) },
  ]);
/** Wallets that several commands name: also nobody's, impossible ones, and the locked one. */
const named = fc.oneof(
  { arbitrary: fc.constantFrom<Json[]>(HOME, HOME, "b", "b", "c"), weight: 18 },
  { arbitrary: fc.constant<Json>(BUSY), weight: 2 },
  { arbitrary: fc.constant<Json>("nobody"), weight: 1 },
  { arbitrary: fc.constantFrom<Json[]>("", " \t", "x".repeat(256), null, 7), weight: 1 },
);
/** A command that names its wallet; one in 30 does not. */
export const ofSome = fc
  .tuple(
    fc.option(named, { freq: 30, nil: undefined }),
    fc.oneof({ arbitrary: commandsOf(AGENT_OPS), weight: 4 }, { arbitrary: inBatch, weight: 1 }),
  )
  .map(([wallet_id, made]): Made => (wallet_id === undefined ? made : { wallet_id, ...made }));
const several = fc
  .tuple(
    fc.array(ofSome, { maxLength: 9 }),
    fc.constantFrom([], [], ["r1"], ["r1", "r1", "r2"]),
    sessions,
  )
  .map(([commands, ids, as]): Draft[] => [
    { call: "post_many", args: { commands: about(commands, ids) }, ...(as && { as }) },
  ]);
/** Somebody looks something up. */
const looking = fc
  .record({
    call: fc.constantFrom("balance", "reservation", "reservation", "receipt", "receipt", "limits"),
    wallet_id: wallet,
    reservation_id: fc.constantFrom("r1", "r1", "r2", "r3", "k1"),
    idempotency_key: fc.constantFrom("k1", "k2", "k3", "of r1", "of r2", "funds"),
    as: sessions,
  })
  .map(({ call, wallet_id, as, ...names }): Draft[] => [
    { call, args: { wallet_id, ...names }, ...(as && { as }) },
  ]);
const quoting = fc
  .tuple(asking, sessions)
  .map(([call, as]): Draft[] => [{ ...call, ...(as && { as }) }]);
const strange = fc
  .tuple(fc.boolean(), fc.constantFrom<Json[]>(null, {}, [1], "[]"))
  .map(([many, commands]): Draft[] => [
    many
      ? { call: "post_many", args: { commands } }
      : { call: "post", args: { wallet_id: HOME, commands } },
  ]);
const transfer = fc
  .record({ from: wallet, to: wallet, amount, ...common })
  .map((args): Draft[] => [{ call: "transfer", args }]);
const freeze = fc
  .record({
    wallet_id: wallet,
    reason: mostly<string | null>("why", "why not", "", null),
    idempotency_key: fc.oneof(fc.constant(null), key),
    metadata,
  })
  .chain((args) =>
    fc.constantFrom("freeze_wallet", "unfreeze_wallet").map((call): Draft[] => [{ call, args }]),
  );
const reopen = fc
  .record({
    wallet_id: wallet,
    unit: mostly<string | null>("USD", "EUR", null),
    scale: mostly<number | null>(9, 2, 19, null),
    overdraft_limit: mostly<number | null>(null, 0, 15, -1),
    restricted: mostly<Json>(false, true),
    metadata,
  })
  .map((args): Draft[] => [{ call: "open_wallet", args }]);
const sweep = fc
  .constantFrom(0, 1, 2, 1000, 1000, 1000)
  .map((limit): Draft[] => [{ call: "expire_due", args: { limit } }]);
/** The clock steps back, so that the next events reach the next deadline to the microsecond. */
const approach = fc
  .tuple(fc.constantFrom(HOME, HOME, "b"), fc.integer({ min: 1, max: 5 }), fc.boolean())
  .map(([wallet_id, before, frozen]): Draft[] => [
    { call: frozen ? "freeze_wallet" : "unfreeze_wallet", args: { wallet_id, reason: "time" } },
    { call: "date_last", args: { wallet_id, before } },
  ]);
const ahead = fc
  .tuple(fc.constantFrom(HOME, HOME, "b"), fc.constantFrom(21_600, 86_400))
  .map(([wallet_id, seconds]): Draft[] => [{ call: "date_last", args: { wallet_id, seconds } }]);
const clear = fc.constant<Draft[]>([{ call: "clear_counters", args: { limit: 1000 } }]);
const again = fc
  .tuple(fc.nat({ max: 30 }), sessions, fc.boolean())
  .map(([index, as, other]): Draft[] => [{ again: index, ...(other && { by: as }) }]);

const setting = fc
  .tuple(pricing, sessions, fc.nat({ max: 9 }))
  .map(([calls, as, by]): Draft[] =>
    calls.map((each) => ({ ...each, ...(by === 0 && as && { as }) })),
  );

const drafts = fc.oneof(
  { arbitrary: single, weight: 24 },
  { arbitrary: batch, weight: 8 },
  { arbitrary: several, weight: 8 },
  { arbitrary: again, weight: 6 },
  { arbitrary: transfer, weight: 3 },
  { arbitrary: changing, weight: 10 },
  { arbitrary: looking, weight: 4 },
  { arbitrary: setting, weight: 5 },
  { arbitrary: quoting, weight: 3 },
  { arbitrary: passing, weight: 3 },
  { arbitrary: bordering, weight: 4 },
  { arbitrary: clear, weight: 1 },
  { arbitrary: approach, weight: 3 },
  { arbitrary: freeze, weight: 2 },
  { arbitrary: sweep, weight: 2 },
  { arbitrary: reopen, weight: 1 },
  { arbitrary: ahead, weight: 1 },
  { arbitrary: strange, weight: 1 },
);

// A look takes as long as a step, and what is wrong mostly stays wrong for several steps.
const look = fc.oneof(
  { arbitrary: fc.constant(null), weight: 4 },
  {
    arbitrary: fc.record({
      wallet_id: fc.constantFrom(HOME, HOME, HOME, "b"),
      index: fc.nat({ max: 40 }),
      shift: fc.constantFrom(0, 0, -1, 1),
    }),
    weight: 1,
  },
);
const limit = fc.constantFrom(null, null, 0, 5, 5, 10);
interface Drawn {
  readonly limits: readonly (number | null)[];
  readonly funds: readonly (number | bigint)[];
  readonly ahead: boolean;
  readonly at: string;
  readonly restricted: readonly boolean[];
  readonly set: readonly (readonly Call[])[];
  /** What is open or spent, and how much of what is set comes before it. */
  readonly held: readonly Made[];
  readonly before: number;
  readonly by: Step["as"];
  readonly prices: readonly Call[];
}

/** Reservations and charges with labels, some by an agent. */
const HELD: readonly Made[] = [
  { op: "reserve", reservation_id: "r1", amount: 4, ttl: 600, metadata: { user: "ann" } },
  {
    op: "reserve",
    reservation_id: "r2",
    amount: 2,
    ttl: 3600,
    metadata: { user: "bob", run: "1" },
  },
  { op: "charge", reservation_id: "r3", amount: 3, metadata: { user: "ann", run: "2" } },
  {
    op: "reserve",
    reservation_id: "r4",
    usage: { model: "x/one", input: 3 },
    ttl: 600,
    metadata: { user: "ann" },
  },
];
const held = fc
  .tuple(fc.subarray([...HELD]), fc.constantFrom<string[]>(HOME, HOME, "b"))
  .map(([made, wallet_id]) =>
    made.map((each) => ({ wallet_id, idempotency_key: `of ${each.reservation_id}`, ...each })),
  );
const situation = {
  ahead: fc.constantFrom(false, false, true),
  at: fc.constantFrom(...BEGINNINGS),
  restricted: fc.tuple(fc.constantFrom(false, false, true), fc.constantFrom(false, false, true)),
  set: fc.tuple(settings, settings),
  held,
  before: fc.nat({ max: 4 }),
  by: sessions,
  prices: catalogue,
};
const funds = fc.constantFrom<(number | bigint)[]>(10, 20, 30, 30, 60, MAX - 30n);
const start: fc.Arbitrary<Drawn> = fc.record({
  limits: fc.tuple(limit, limit),
  funds: fc.tuple(funds, fc.constantFrom(0, 20)),
  ...situation,
});
/** With more in the other wallets. */
export const richStart: fc.Arbitrary<Drawn> = fc.record({
  limits: fc.tuple(limit, limit, limit),
  funds: fc.tuple(funds, fc.constantFrom(20, 30), fc.constantFrom(10, 20)),
  ...situation,
});

/** Sequences with a common start: wallets that were opened and funded. */
export interface Batch {
  readonly start: readonly Step[];
  readonly sequences: readonly (readonly Step[])[];
}

type DrawnStep = readonly [Draft[], Step["look"]];

/** So many steps, as they are drawn. */
export function drawSteps(least: number, most: number): fc.Arbitrary<DrawnStep[]> {
  return fc.array(fc.tuple(drafts, look), { minLength: least, maxLength: most, size: "max" });
}

/** Batches of up to `most` sequences, each of up to `longest` steps after the start. */
export function batches(most: number, longest: number): fc.Arbitrary<Batch> {
  const many = fc.array(drawSteps(1, longest), { minLength: 1, maxLength: most, size: "max" });
  return fc.tuple(start, many).map(([drawn, sequences]) => {
    const first = opening(drawn);
    return { start: first, sequences: sequences.map((each) => resolve(first, each)) };
  });
}

/** Opens and funds the wallets, and sets what the first two have. */
export function opening(drawn: Drawn): Step[] {
  const { limits, funds, ahead, at, restricted, held, before } = drawn;
  const opened = WALLETS.map((wallet_id, i): Call => {
    const terms = { unit: "USD", scale: i === 2 ? 2 : 9, overdraft_limit: limits[i] ?? null };
    const its = { ...terms, restricted: restricted[i] ?? false };
    return { call: "open_wallet", args: { wallet_id, ...its } };
  });
  const dated = ahead ? [{ call: "date_last", args: { wallet_id: HOME, seconds: 86_400 } }] : [];
  const funded = WALLETS.map((wallet_id, i): Call => {
    const args = { wallet_id, amount: funds[i] || 1, idempotency_key: "funds" };
    return { call: "credit", args };
  });
  const travel = { call: "travel", args: { to: at } };
  const settled = drawn.set.flatMap((calls, i) =>
    calls.map(({ call, args }): Call => ({ call, args: { wallet_id: WALLETS[i], ...args } })),
  );
  const holding: Call[] = held.map(({ op, ...args }) => ({
    call: String(op),
    args,
    ...(drawn.by && { as: drawn.by }),
  }));
  const set = [...settled.slice(0, before), ...holding, ...settled.slice(before)];
  const all = [travel, ...drawn.prices, ...opened, ...dated, ...funded, ...set];
  return all.map((each) => ({ ...each, look: null }));
}

/** Names each fresh key, and replaces each repetition by the step that it repeats. */
export function resolve(start: readonly Step[], drawn: readonly DrawnStep[]): Step[] {
  const steps = [...start];
  for (const [calls, look] of drawn) {
    for (const draft of calls) {
      if ("call" in draft) steps.push({ ...withKeys(draft, String(steps.length)), look });
      else steps.push({ ...repeat(steps, draft), look });
    }
  }
  return steps.slice(start.length);
}

/** An earlier step again, perhaps by somebody else. */
function repeat(steps: readonly Step[], draft: { readonly again: number; by?: Step["as"] }): Step {
  const { as, ...step } = steps[draft.again % steps.length] as Step;
  const by = "by" in draft ? draft.by : as;
  return by ? { ...step, as: by } : step;
}

function withKeys({ call, args, ...rest }: Call, place: string): Call {
  const { commands } = args;
  if (!Array.isArray(commands)) return { call, args: fresh(args, `#${place}`), ...rest };
  return { call, args: { ...args, commands: nameKeys(commands, place) }, ...rest };
}

/** Names the fresh keys of a batch. */
export function nameKeys<T extends Json>(commands: readonly T[], place: string): T[] {
  return commands.map((command, i) =>
    typeof command === "object" ? (fresh(command as Arguments, `#${place}.${i}`) as T) : command,
  );
}

function fresh(given: Arguments, suffix: string): Arguments {
  return given.idempotency_key === FRESH ? { ...given, idempotency_key: `k${suffix}` } : given;
}
