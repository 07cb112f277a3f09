// The values of parameters: by its name what a parameter is for, and by its type what is strange.
import fc from "fast-check";
import { POST_FUNDS_OPS } from "../../support/operations.ts";

/** A value as text, or null; the server reads it as the parameter's type. */
export type Value = string | null;

/** The part of an id that is replaced by the name of its sequence, so that sequences share no wallet. */
export const PLACE = "§";

/** The open reservations of the first wallet of each sequence. */
export const HOLDS = ["r1", "r2", "r3", "r4"];
/** Its charge. */
export const SPENT = "r5";

/** The largest amount. */
export const MAX = 2n ** 63n - 1n;

const deep = (depth: number, open: string, close: string) =>
  `${open.repeat(depth)}1${close.repeat(depth)}`;
const arrayOf = (length: number, item: string) => `[${Array(length).fill(item).join(",")}]`;

/** Text that no function takes for a parameter of the type: see refusals.ts. */
export const REFUSED: Readonly<Record<string, readonly string[]>> = {
  text: [
    ...["", " ", "\t", "\r\n", " \t ", "x".repeat(256), "x".repeat(1001), "\u{1f4a9}".repeat(256)],
    ...["x".repeat(1_000_000), "a\0b", "\0"],
  ],
  bigint: [
    ...["9223372036854775808", "-9223372036854775809", "9".repeat(400), "1.5", "1e3", "NaN"],
    ...["Infinity", "-Infinity", "", " ", "abc", "١", "１", "1,000", "1 2", "--1", "true", "null"],
    ...["{}", "'1'", "1;", "$1", "\u00a01", "1\u200b", "-9223372036854775808", "-1"],
  ],
  integer: [
    ...["2147483648", "-2147483649", "-2147483648", "2147483647", "1.5", "NaN", "", "abc", "-1"],
    ...["9".repeat(400), "true", "1e1"],
  ],
  boolean: ["", "maybe", "2", "nope", "truee", "null", "t f", "\u0442"],
  interval: [
    ...["", "garbage", "NaN", "infinity", "-infinity", "1e400 seconds", "178956971 years"],
    ...["9223372036854775808 microseconds", "-178956970 years -9 mons", "2147483648 days"],
    ...["178956970 years", "-1 microsecond", "1 mon -30 days", "0", "1 fortnight", "P1Y", "1 2 3"],
  ],
  "timestamp with time zone": [
    ...["", "garbage", "NaN", "294277-01-01 00:00:00+00", "4714-11-23 00:00:00+00 BC", "24:00:61"],
    ...["2026-02-30", "2026-01-01 Mars/Olympus", "0000-01-01", "2026-13-01", "+275760-09-13"],
    ...["9".repeat(400), "2026-01-01 00:00:00+99"],
  ],
  "text[]": ["", "a", "{", "}", "{a", "a}", '{"a}', "{a}}", "{{a},{b,c}}", "{a,}", "[2:1]={a}"],
  "integer[]": [
    "",
    "1",
    "{1.5}",
    "{a}",
    "{2147483648}",
    "{1,}",
    "{NaN}",
    "{-1}",
    "{0}",
    "{{1},{2,3}}",
  ],
  "bigint[]": ["", "1", "{1.5}", "{a}", "{9223372036854775808}", "{1,}", "{-1}", "{0}", "{1,1}"],
  jsonb: [
    ...[
      "",
      "{",
      "}",
      "nul",
      "NaN",
      "Infinity",
      "'a'",
      "{a:1}",
      "[1,]",
      '{"a":}',
      "1 2",
      "\u00a0{}",
    ],
    ...['"\\u0000"', '{"a":"\\u0000"}', '{"\\u0000":1}', '"\\ud800"', '{"a":"\\udc00\\ud800"}'],
    ...['{"a":"\\ud83d"}', '"\\u00"', '"\\x41"', '{"a":1e131072}', '{"a":"\u0001"}', '{"a":"\0"}'],
    ...[
      "1",
      "true",
      '"{}"',
      "[[]]",
      '[{"op":"charge"},[]]',
      deep(100_000, '{"a":', "}"),
      "[".repeat(100_000),
    ],
    ...[`{"a":"${"x".repeat(16_376)}"}`, `{"a":"${"x".repeat(1_000_000)}"}`],
    ...[`{"a":${arrayOf(100_000, "[]")}}`, arrayOf(10_001, "{}"), arrayOf(100_000, "0")],
    ...[`{"a":${"9".repeat(20_000)}}`, `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":0`)}}`],
  ],
};

const strangeText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.constantFrom(
    ...[
      "\u00a0",
      "\u200b",
      "\ufeff",
      "null",
      "NULL",
      "\\N",
      "\\",
      "'",
      '"',
      "$$",
      "$1",
      "%s",
      "%n%I%L",
    ],
    ...["'; drop schema baseledger cascade; --", "{}", "[]", "(,)", "{a,b}", "\u202e", "e\u0301"],
    ...["\u{1f4a9}", "\u{10ffff}", "\ufffe", "\ufffd", "\u0001\u007f"],
    ...["x".repeat(255), "\u{1f4a9}".repeat(255)],
  ),
);

const strangeInteger = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.constantFrom(
    ...["0", "-0", "1", String(MAX), String(MAX - 1n), String(MAX - 10n), String(2n ** 62n)],
    ...["1000000000000000000", "32768", " 1 ", "0x10", "1_000", "0b1"],
  ),
);

const strangeInterval = fc.oneof(
  fc.double().map((seconds) => `${seconds} seconds`),
  fc
    .tuple(fc.integer(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: MAX }))
    .map(([months, days, micros]) => `${months} mons ${days} days ${micros} microseconds`),
  fc.constantFrom(
    ...["1 microsecond", "-1 second", "-178956970 years -8 mons", "2147483647 days"],
    ...["9223372036854775807 microseconds", "1 mon -29 days", "30 days", "720 hours"],
    ...["720:00:00.000001", "PT1H", "@ 1 min ago", "1e300 seconds", "0.9999999 seconds"],
  ),
);

const strangeTime = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    ...["infinity", "-infinity", "epoch", "now", "4714-11-24 00:00:00+00 BC", "today"],
    ...["294276-12-31 23:59:59.999999+00", "2016-12-31 23:59:60Z", "24:00"],
    "2026-03-29 02:30:00 Europe/Berlin",
  ),
);

const strangeJson = fc.oneof(
  { weight: 6, arbitrary: fc.json({ stringUnit: "binary", noUnicodeString: false }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...["null", "{}", "[]", '""', "0", "-0", "1e400", "1e-400", `1${"0".repeat(2000)}`],
      ...['{"a":1,"a":2}', '{"":""}', '{"$ref":"#"}', '{"__proto__":{"op":"credit"}}'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[deep(2000, "[", "]"), deep(2000, '{"a":', "}"), deep(100_000, "[", "]")],
      ...[JSON.stringify({ a: "x".repeat(3_000_000) }), `{"a":"${"x".repeat(16_374)}"}`],
      JSON.stringify(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]))),
      arrayOf(10_000, '{"op":"charge","amount":1,"idempotency_key":"same"}'),
    ),
  },
);

const strangeTexts = fc.constantFrom(
  ...["{}", "{a}", "{a,b}", "{a,a}", "{*}", "{a,*}", "{NULL}", "{a,NULL}", '{""}', '{" "}'],
  ...["{{a,b},{c,d}}", "[0:1]={a,b}", "[5:5]={user}", `{${"x".repeat(256)}}`, "{1,2,3,4,5}"],
  `{${Array.from({ length: 20 }, (_, i) => `k${i}`)}}`,
);
const strangeNumbers = fc.constantFrom(
  ...[
    "{}",
    "{1}",
    "{1,2}",
    "{1000}",
    "{1001}",
    "{NULL}",
    "{1,NULL}",
    "{{1,2},{3,4}}",
    "[0:1]={1,2}",
  ],
  ...["{1,1}", "{2147483647}", `{${Array.from({ length: 11 }, (_, i) => i + 1)}}`],
);

/** The strange values of a type, those that are always refused included. */
function strange(type: string, others?: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const refused = fc.constantFrom(...(REFUSED[type] ?? []));
  return others
    ? fc.oneof({ weight: 3, arbitrary: others }, { weight: 1, arbitrary: refused })
    : refused;
}

const strangeValues: Record<string, fc.Arbitrary<string>> = {
  text: strange("text", strangeText),
  bigint: strange("bigint", strangeInteger),
  integer: strange("integer", strangeInteger),
  boolean: strange("boolean", fc.constantFrom("true", "false", "on")),
  interval: strange("interval", strangeInterval),
  "timestamp with time zone": strange("timestamp with time zone", strangeTime),
  jsonb: strange("jsonb", strangeJson),
  "text[]": strange("text[]", strangeTexts),
  "integer[]": strange("integer[]", strangeNumbers),
  "bigint[]": strange("bigint[]", strangeNumbers),
};

const wallet = fc
  .constantFrom("a", "a", "a", "a", "b", "b", "c", "none", "rich", "debtor")
  .map((id) => `${PLACE}${id}`);
// Some keys come twice.
const key = fc.oneof(fc.integer({ min: 0, max: 999 }), fc.nat(3)).map((n) => `k${n}`);
const reservation = fc.constantFrom(...HOLDS, SPENT, SPENT, "r6", "r7", "k1");
const small = fc.integer({ min: 1, max: 300 }).map(String);
const amount = fc.oneof({ weight: 6, arbitrary: small }, { weight: 1, arbitrary: strangeInteger });
const ttl = fc.constantFrom("1 second", "5 minutes", "30 days");
const object = fc.constantFrom({}, { model: "small" });
const metadata = fc.constantFrom("{}", '{"model":"small"}', '{"n":[1,2.50,null]}');

const count = fc.oneof({ weight: 6, arbitrary: fc.nat(90) }, fc.jsonValue());
/** What was used: of models that have a price, or have none, or nothing that can be used. */
const usage = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        model: fc.constantFrom("x/one", "x/one", "x/it", "x/none"),
        input: fc.nat(40),
        output: fc.nat(20),
        cache_read: fc.nat(9),
      },
      { requiredKeys: ["model", "input"] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { model: fc.jsonValue(), variant: fc.jsonValue(), input: count, output: count },
      { requiredKeys: [] },
    ),
  },
  fc.jsonValue(),
);
const rates = fc.oneof(
  fc.record({ input: fc.nat(10 ** 6), output: fc.nat(10 ** 6), cache_read: fc.nat(10 ** 6) }),
  fc.dictionary(fc.constantFrom("input", "output", "Input", "pages"), fc.jsonValue()),
);
/** Prices that are set together. */
const price = fc.record(
  {
    model: fc.constantFrom("x/one", "x/it", "x/new", "y/two/three"),
    rates: fc.oneof(rates, fc.constant(null)),
    variant: fc.constantFrom("standard", "batch"),
    above: fc.oneof(fc.constantFrom(0, 10), fc.jsonValue()),
    alias_of: fc.constantFrom(null, null, "x/one"),
    valid_from: fc.oneof(fc.constantFrom(null, "2100-01-01", "-infinity"), fc.jsonValue()),
    max_output: fc.oneof(fc.constantFrom(1, 4096), fc.jsonValue()),
  },
  { requiredKeys: ["model", "rates"] },
);

const fields = {
  // Mostly what a batch may name.
  op: fc.constantFrom(
    ...POST_FUNDS_OPS,
    ...POST_FUNDS_OPS,
    ...["open", "transfer_out", "expire", ""],
  ),
  idempotency_key: fc.oneof({ weight: 8, arbitrary: key }, fc.jsonValue()),
  reservation_id: fc.oneof({ weight: 8, arbitrary: key }, fc.jsonValue()),
  amount: fc.oneof({ weight: 8, arbitrary: amount }, strangeInteger, fc.jsonValue()),
  at_least: fc.oneof({ weight: 4, arbitrary: small }, fc.jsonValue()),
  ttl: fc.oneof({ weight: 4, arbitrary: ttl }, strangeInterval, fc.double({ noNaN: true })),
  final: fc.oneof(fc.boolean(), fc.jsonValue()),
  metadata: fc.oneof(fc.constant({}), fc.jsonValue()),
  usage,
  surplus: fc.jsonValue(),
};
/** A command with the fields that it may have, so that many are granted. */
const usual = fc.oneof(
  fc.record({ op: fc.constant("reserve"), idempotency_key: key, amount: small, ttl }),
  fc.record({ op: fc.constant("charge"), idempotency_key: key, amount: small, metadata: object }),
  fc.record({ op: fc.constantFrom("reserve", "charge"), idempotency_key: key, usage }),
  fc.record({
    op: fc.constant("settle"),
    idempotency_key: key,
    reservation_id: reservation,
    usage,
    final: fc.boolean(),
  }),
  fc.record({
    op: fc.constantFrom("settle", "refund"),
    idempotency_key: key,
    reservation_id: reservation,
    amount: small,
  }),
);
const command = fc.oneof(fc.record(fields, { requiredKeys: ["op", "idempotency_key"] }), {
  weight: 2,
  arbitrary: usual,
});
/** Of a batch over several wallets. */
const commandInWallet = fc
  .tuple(command, fc.oneof({ weight: 8, arbitrary: wallet }, fc.jsonValue()))
  .map(([made, wallet_id]) => ({ ...made, wallet_id }));
const listOf = (each: fc.Arbitrary<unknown>) =>
  fc.array(each, { maxLength: 30 }).map((list) => JSON.stringify(list));

/** Sensible values by the name of a parameter, so that many calls pass the checks of arguments. */
const sensible: Record<string, fc.Arbitrary<string>> = {
  wallet_id: wallet,
  from: wallet,
  to: wallet,
  unit: fc.constantFrom("USD", "tokens"),
  scale: fc.constantFrom("9", "0", "18"),
  overdraft_limit: fc.constantFrom("0", "100", "9223372036854775807"),
  idempotency_key: key,
  reservation_id: reservation,
  amount,
  at_least: small,
  ttl,
  final: fc.constantFrom("true", "false"),
  metadata,
  reason: fc.constantFrom("stop", "go"),
  limit: fc.constantFrom("1", "1000"),
  restricted: fc.constantFrom("false", "false", "true"),
  already_spent: fc.constantFrom("false", "true"),
  role: fc.constantFrom("ledger_fuzz_agent", "ledger_fuzz_agent", "ledger_fuzz_auditor"),
  labels: fc.constantFrom("{}", '{"user":"ann"}'),
  free_labels: fc.constantFrom("{}", "{user}", "{*}"),
  expires_at: fc.constantFrom("2100-01-01 00:00:00+00", "2000-01-01 00:00:00+00"),
  limit_id: fc.constantFrom("day", "user"),
  per: fc.constantFrom("minute", "hour", "day", "week", "month", "year", "ever"),
  by: fc.constantFrom("{}", "{model}", "{model,user}"),
  of: fc.constantFrom("amount", "calls", "open"),
  time_zone: fc.constantFrom("UTC", "Europe/Berlin", "America/Havana"),
  hard: fc.constantFrom("true", "false"),
  alert_at: fc.constantFrom("{}", "{50,80,100}"),
  values: fc.constantFrom("{small}", "{small,ann}", '{""}'),
  amounts: fc.constantFrom("{}", "{10,900}"),
  url: fc.constantFrom("https://example.com/alerts", "http://127.0.0.1:1/"),
  events: fc.constantFrom("{limit}", "{limit,low_balance}", "{low_balance}"),
  prefix: fc.constantFrom("", PLACE, "x/"),
  commands: listOf(command),
  usage: usage.map((each) => JSON.stringify(each)),
  usages: listOf(usage),
  model: fc.constantFrom("x/one", "x/it", "x/new", "y/two/three"),
  rates: rates.map((each) => JSON.stringify(each)),
  variant: fc.constantFrom("standard", "batch"),
  above: fc.constantFrom("0", "10"),
  valid_from: fc.constantFrom("2100-01-01 00:00:00+00", "-infinity"),
  currency: fc.constantFrom("USD", "EUR"),
  alias_of: fc.constantFrom("x/one", "x/it"),
  source: fc.constantFrom("list", "contract"),
  prices: fc.array(price, { maxLength: 4 }).map((list) => JSON.stringify(list)),
};
/** Where a parameter means something else than in other functions. */
const sensibleIn: Record<string, Record<string, fc.Arbitrary<string>>> = {
  post_many: {
    commands: fc.oneof(listOf(command), { weight: 9, arbitrary: listOf(commandInWallet) }),
  },
};

/**
 * The values of a parameter of a function: mostly sensible ones.
 *
 * @throws Error when the type has no strange values: add them for a new type
 */
export function valuesOf(call: string, name: string, type: string): fc.Arbitrary<Value> {
  const bad = strangeValues[type];
  if (!bad) throw new Error(`the fuzz has no values of type ${type}, for p_${name}`);
  const good = sensibleIn[call]?.[name] ?? sensible[name] ?? bad;
  return fc.oneof(
    { weight: 12, arbitrary: good },
    { weight: 3, arbitrary: bad },
    { weight: 1, arbitrary: fc.constant(null) },
  );
}
