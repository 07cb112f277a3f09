// What is sent to a parameter: by its name what it is meant for, by its type what is nasty.
import fc from "fast-check";

/** A value as text, or null; the server reads it as the parameter's type. */
export type Value = string | null;

/** Stands in an id for the wallets of one sequence, so that none meets the wallets of another. */
export const PLACE = "§";

/** Reservations that the first wallet of each sequence begins with. */
export const HOLDS = ["r1", "r2", "r3", "r4"];
/** And one that was spent at once. */
export const SPENT = "r5";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.constantFrom(
    ...["", " ", "\t", "\u00a0", "\u200b", "\ufeff", "null", "NULL", "\\N", "\\", "'", '"', "$$"],
    ...["'; drop schema baseledger cascade; --", "$1", "%s", "%n%I%L", "{}", "[]", "(,)", "{a,b}"],
    ...["\u202e", "e\u0301", "\u{1f4a9}", "\u{10ffff}", "\ufffe", "\ufffd", "\u0001\u007f", "a\0b"],
    ...["x".repeat(255), "x".repeat(256), "\u{1f4a9}".repeat(255), "x".repeat(1_000_000)],
  ),
);

const whole = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.constantFrom(
    ...["0", "-0", "-1", "1", "9223372036854775807", "-9223372036854775808", "2147483647"],
    ...[
      "-2147483648",
      "9223372036854775808",
      "-9223372036854775809",
      "32768",
      "4611686018427387904",
    ],
    ...["1e3", "1.5", "NaN", "Infinity", "", " 1 ", "0x10", "1_000", "0b1", "\u0661"],
  ),
);

const interval = fc.oneof(
  fc.double().map((seconds) => `${seconds} seconds`),
  fc
    .tuple(fc.integer(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
    .map(([months, days, micros]) => `${months} mons ${days} days ${micros} microseconds`),
  fc.constantFrom(
    ...["0", "1 microsecond", "-1 second", "infinity", "-infinity", "178956970 years", "NaN"],
    ...["-178956970 years -8 mons", "2147483647 days", "9223372036854775807 microseconds"],
    ...["1 mon -29 days", "30 days", "720 hours", "720:00:00.000001", "PT1H", "P1Y", "@ 1 min ago"],
    ...["1e300 seconds", "0.9999999 seconds", "", "garbage"],
  ),
);

const time = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    ...["infinity", "-infinity", "epoch", "now", "4714-11-24 00:00:00+00 BC", "today", "NaN"],
    ...["294276-12-31 23:59:59.999999+00", "294277-01-01 00:00:00+00", "2016-12-31 23:59:60Z"],
    ...["2026-03-29 02:30:00 Europe/Berlin", "0000-01-01", "24:00", "", "garbage"],
  ),
);

const deep = (depth: number, open: string, close: string) =>
  `${open.repeat(depth)}${close.repeat(depth)}`;

const json = fc.oneof(
  { weight: 6, arbitrary: fc.json({ stringUnit: "binary", noUnicodeString: false }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...["null", "{}", "[]", "[[]]", '""', "0", "-0", "1e400", "1e-400", `1${"0".repeat(2000)}`],
      ...["true", "NaN", "", "{", '{"a":1,"a":2}', '{"":""}', '"\\u0000"', '"\\ud800"'],
      ...['{"\\u0000":1}', '{"a":"\\udc00"}', '{"$ref":"#"}', '{"__proto__":{"op":"credit"}}'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[deep(2000, "[", "]"), `${'{"a":'.repeat(2000)}1${"}".repeat(2000)}`],
      ...[deep(100_000, "[", "]"), JSON.stringify({ a: "x".repeat(3_000_000) })],
      ...[JSON.stringify({ a: "x".repeat(16_374) }), JSON.stringify({ a: "x".repeat(16_376) })],
      JSON.stringify(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]))),
      JSON.stringify(Array(10_000).fill({ op: "charge", amount: 1, idempotency_key: "same" })),
      JSON.stringify(Array(10_001).fill({})),
      JSON.stringify(Array(100_000).fill(0)),
    ),
  },
);

const nasty: Record<string, fc.Arbitrary<string>> = {
  text,
  bigint: whole,
  integer: whole,
  smallint: whole,
  boolean: fc.constantFrom("true", "false", "on", "2", "", "maybe"),
  interval,
  "timestamp with time zone": time,
  jsonb: json,
};

const wallet = fc.constantFrom("a", "a", "a", "b", "c", "none").map((id) => `${PLACE}${id}`);
// some of them come twice
const key = fc.oneof(fc.integer({ min: 0, max: 999 }), fc.nat(3)).map((n) => `k${n}`);
const reservation = fc.constantFrom(...HOLDS, SPENT, SPENT, "r6", "r7", "k1");
const small = fc.integer({ min: 1, max: 300 }).map(String);
const ttl = fc.constantFrom("1 second", "5 minutes", "30 days");
const metadata = fc.constantFrom("{}", '{"model":"small"}', '{"n":[1,2.50,null]}');

/** The ops that a batch may name, and some that it may not. */
const ops = ["reserve", "settle", "cancel", "extend", "charge", "credit", "withdraw", "refund"];

const command = fc.record(
  {
    op: fc.constantFrom(...ops, ...ops, "open", "transfer_out", "expire", ""),
    idempotency_key: fc.oneof({ weight: 8, arbitrary: key }, fc.jsonValue()),
    reservation_id: fc.oneof({ weight: 8, arbitrary: key }, fc.jsonValue()),
    amount: fc.oneof({ weight: 8, arbitrary: small }, whole, fc.jsonValue()),
    at_least: fc.oneof({ weight: 4, arbitrary: small }, fc.jsonValue()),
    ttl: fc.oneof({ weight: 4, arbitrary: ttl }, interval, fc.double({ noNaN: true })),
    final: fc.oneof(fc.boolean(), fc.jsonValue()),
    metadata: fc.oneof(fc.constant({}), fc.jsonValue()),
    surplus: fc.jsonValue(),
  },
  { requiredKeys: ["op", "idempotency_key"] },
);

/** What a parameter is for; so that many calls get beyond the checks of their arguments. */
const meant: Record<string, fc.Arbitrary<string>> = {
  wallet_id: wallet,
  from: wallet,
  to: wallet,
  unit: fc.constantFrom("USD", "tokens"),
  scale: fc.constantFrom("9", "0", "18"),
  overdraft_limit: fc.constantFrom("0", "100", "9223372036854775807"),
  idempotency_key: key,
  reservation_id: reservation,
  amount: small,
  at_least: small,
  ttl,
  final: fc.constantFrom("true", "false"),
  metadata,
  reason: fc.constantFrom("stop", "go"),
  limit: fc.constantFrom("1", "1000"),
  commands: fc.array(command, { maxLength: 30 }).map((list) => JSON.stringify(list)),
};

/**
 * The values of a parameter.
 *
 * @throws Error when nothing nasty is known for its type: a new type of parameter has to be told
 */
export function valuesOf(name: string, type: string): fc.Arbitrary<Value> {
  const bad = nasty[type];
  if (!bad) throw new Error(`the fuzz has no values of type ${type}, for p_${name}`);
  const good = meant[name] ?? bad;
  return fc.oneof(
    { weight: 12, arbitrary: good },
    { weight: 3, arbitrary: bad },
    { weight: 1, arbitrary: fc.constant(null) },
  );
}
