// Generates random sequences of commands that affect each other: few wallets, ids and keys, amounts
// close to the balances, deadlines passed by an hour or missed by a microsecond.
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import type { BatchOp } from "../../support/operations.ts";
import { BUSY } from "../ledger.ts";
import { AGENT_OPS, type Arguments, FUNDS_OPS, MAX, type Op } from "../requests.ts";
import type { Step } from "./compare.ts";

type Call = Pick<Step, "call" | "args">;
/** A command with its `op`, as in a batch. */
export type Made = Record<string, Json>;

const HOME = "a";
export const WALLETS: readonly string[] = [HOME, "b", "c"];

/** One key in four is shared with others; the rest are made from the step's place. */
const FRESH = "fresh";
const key = fc.oneof(
  { arbitrary: fc.constant(FRESH), weight: 12 },
  { arbitrary: fc.constantFrom("k1", "k2"), weight: 3 },
  { arbitrary: fc.constantFrom(null, "", " \t", "x".repeat(256)), weight: 1 },
);
const id = fc.oneof(
  { arbitrary: fc.constantFrom("r1", "r1", "r2", "r3"), weight: 14 },
  { arbitrary: fc.constantFrom("k1", "k2"), weight: 2 },
  { arbitrary: fc.constantFrom(null, "nobody's", " "), weight: 1 },
);
// Sums of few numbers are often exactly the balance, or the limit.
const amount = fc.oneof(
  { arbitrary: fc.constantFrom(5, 10, 1, 2), weight: 14 },
  { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 6 },
  { arbitrary: fc.integer({ min: 0, max: 60 }), weight: 4 },
  { arbitrary: fc.constantFrom(MAX, MAX - 1n, MAX - 20n, MAX / 2n), weight: 2 },
  { arbitrary: fc.constantFrom(null, 0, -1, -MAX), weight: 1 },
);
/** Seconds. */
const ttl = fc.oneof(
  { arbitrary: fc.constantFrom(null, 60, 600, 3600), weight: 12 },
  { arbitrary: fc.constantFrom(1, 90.5, 2_592_000), weight: 2 },
  { arbitrary: fc.constantFrom(0, 0.999999, 2_592_000.000001, -5), weight: 1 },
);
const metadata = fc.oneof(
  { arbitrary: fc.constant(null), weight: 16 },
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
  reserve: fc.record({
    ...common,
    amount,
    ttl,
    reservation_id: id,
    at_least: mostly<Json>(null, 1, 5, 0),
  }),
  settle: fc.record({
    ...common,
    amount,
    reservation_id: id,
    final: fc.constantFrom(null, true, false, false),
  }),
  cancel: fc.record({ ...common, reservation_id: id }),
  extend: fc.record({
    ...common,
    reservation_id: id,
    ttl,
    amount: fc.oneof(fc.constant(null), amount),
  }),
  charge: fc.record({ ...common, amount, reservation_id: id }),
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
export type Draft = Call | { readonly again: number };

const wallet = fc.oneof(
  { arbitrary: fc.constant(HOME), weight: 20 },
  { arbitrary: fc.constantFrom("b", "c"), weight: 3 },
  { arbitrary: fc.constantFrom("nobody", "", null), weight: 1 },
);
const single = fc
  .tuple(wallet, command)
  .map(([wallet_id, { op, ...args }]): Draft[] => [
    { call: String(op), args: { wallet_id, ...args } },
  ]);
/** Makes all commands of a batch about the same few reservations; without `ids`, about any. */
export const about = (commands: readonly Made[], ids: readonly string[]) =>
  commands.map((made, i) => {
    const reservation_id = ids[i % ids.length];
    return reservation_id && made.reservation_id != null ? { ...made, reservation_id } : made;
  });
const batch = fc
  .tuple(
    fc.constantFrom("post", "post_funds", "post_funds"),
    wallet,
    fc.array(inBatch, { maxLength: 6 }),
    fc.constantFrom([], ["r1"], ["r1", "r1", "r2"]),
  )
  .map(([call, wallet_id, commands, ids]): Draft[] => [
    { call, args: { wallet_id, commands: about(commands, ids) } },
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
  .tuple(fc.array(ofSome, { maxLength: 9 }), fc.constantFrom([], [], ["r1"], ["r1", "r1", "r2"]))
  .map(([commands, ids]): Draft[] => [
    { call: "post_many", args: { commands: about(commands, ids) } },
  ]);
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
    metadata,
  })
  .map((args): Draft[] => [{ call: "open_wallet", args }]);
const sweep = fc
  .constantFrom(0, 1, 2, 1000, 1000, 1000)
  .map((limit): Draft[] => [{ call: "expire_due", args: { limit } }]);
/** Time passes: past a short deadline, the default one, an hour, the longest. */
const pass = fc
  .constantFrom(30, 61, 601, 3601, 2_592_001)
  .map((seconds): Draft[] => [{ call: "go_back", args: { seconds } }]);
/** The clock steps back, so that the next events reach the next deadline to the microsecond. */
const approach = fc
  .tuple(fc.constantFrom(HOME, HOME, "b"), fc.integer({ min: 1, max: 5 }), fc.boolean())
  .map(([wallet_id, before_due, frozen]): Draft[] => [
    { call: frozen ? "freeze_wallet" : "unfreeze_wallet", args: { wallet_id, reason: "time" } },
    { call: "date_last", args: { wallet_id, before_due } },
  ]);
const ahead = fc
  .constantFrom(HOME, HOME, "b")
  .map((wallet_id): Draft[] => [{ call: "date_last", args: { wallet_id, seconds: 86_400 } }]);
const again = fc.nat({ max: 30 }).map((index): Draft[] => [{ again: index }]);

const drafts = fc.oneof(
  { arbitrary: single, weight: 24 },
  { arbitrary: batch, weight: 8 },
  { arbitrary: several, weight: 8 },
  { arbitrary: again, weight: 6 },
  { arbitrary: transfer, weight: 3 },
  { arbitrary: pass, weight: 3 },
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
}
const funds = fc.constantFrom<(number | bigint)[]>(10, 10, 20, 30, MAX - 30n);
const start: fc.Arbitrary<Drawn> = fc.record({
  limits: fc.tuple(limit, limit),
  funds: fc.tuple(funds, fc.constantFrom(0, 20)),
  ahead: fc.boolean(),
});
/** With more in the other wallets. */
export const richStart: fc.Arbitrary<Drawn> = fc.record({
  limits: fc.tuple(limit, limit, limit),
  funds: fc.tuple(funds, fc.constantFrom(20, 30), fc.constantFrom(10, 20)),
  ahead: fc.boolean(),
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

/** Opens and funds the wallets. */
export function opening({ limits, funds, ahead }: Drawn): Step[] {
  const opened = WALLETS.map((wallet_id, i): Call => {
    const terms = { unit: "USD", scale: i === 2 ? 2 : 9, overdraft_limit: limits[i] ?? null };
    return { call: "open_wallet", args: { wallet_id, ...terms } };
  });
  const dated = ahead ? [{ call: "date_last", args: { wallet_id: HOME, seconds: 86_400 } }] : [];
  const funded = WALLETS.map((wallet_id, i): Call => {
    const args = { wallet_id, amount: funds[i] || 1, idempotency_key: "funds" };
    return { call: "credit", args };
  });
  return [...opened, ...dated, ...funded].map((each) => ({ ...each, look: null }));
}

/** Names each fresh key, and replaces each repetition by the step that it repeats. */
export function resolve(start: readonly Step[], drawn: readonly DrawnStep[]): Step[] {
  const steps = [...start];
  for (const [calls, look] of drawn) {
    for (const draft of calls) {
      if ("call" in draft) steps.push({ ...withKeys(draft, String(steps.length)), look });
      else steps.push({ ...(steps[draft.again % steps.length] as Step), look });
    }
  }
  return steps.slice(start.length);
}

function withKeys({ call, args }: Call, place: string): Call {
  const { commands } = args;
  if (!Array.isArray(commands)) return { call, args: fresh(args, `#${place}`) };
  return { call, args: { ...args, commands: nameKeys(commands, place) } };
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
