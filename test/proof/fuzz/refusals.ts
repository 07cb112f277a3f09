// Each parameter of each function must refuse each value that no function takes.
import {
  formatCall,
  type Parameter,
  type PublicFunction,
  publicFunctions,
  toQuery,
} from "./functions.ts";
import { connect } from "./session.ts";
import { HOLDS, REFUSED } from "./values.ts";

/** Arguments that are fine, so that one that is not decides. */
const FINE: Readonly<Record<string, string>> = {
  wallet_id: "a",
  from: "a",
  to: "b",
  amount: "5",
  idempotency_key: "k",
  reservation_id: HOLDS[0] ?? "",
  ttl: "1 minute",
  at_least: "3",
  final: "true",
  metadata: "{}",
  reason: "stop",
  unit: "USD",
  scale: "9",
  overdraft_limit: "5",
  limit: "10",
  at: "now",
  commands: "[]",
  role: "baseledger_agent",
  labels: "{}",
  free_labels: "{}",
  limit_id: "day",
  per: "day",
  by: "{}",
  of: "amount",
  time_zone: "UTC",
  hard: "true",
  alert_at: "{}",
  values: "{ann}",
  amounts: "{}",
  url: "https://example.com/alerts",
  prefix: "",
  model: "openai/gpt-5",
  rates: '{"input": 1250000000}',
  variant: "batch",
  above: "200000",
  currency: "USD",
  context_window: "400000",
  max_output: "128000",
  source: "contract",
  prices: '[{"model": "openai/gpt-5", "rates": {"input": 1250000000}}]',
  usages: "[]",
};
/** Only these functions, one for each way into the ledger, get huge values. */
const ROBUST = ["credit", "reserve", "post", "post_many"];
const HUGE = 20_000;

/** What {@link checkRefusals} has tried, and what was not refused as it must be. */
export interface Refusals {
  readonly tried: number;
  readonly wrong: readonly string[];
}

/** Sends all these values to a migrated database. */
export async function checkRefusals(url: string): Promise<Refusals> {
  await using sender = await connect(url);
  for (const id of ["a", "b"]) await sender.admin`select baseledger.open_wallet(${id})`;
  await sender.admin`select baseledger.credit('a', 1000, 'funds')`;
  await sender.admin`select baseledger.reserve('a', 100, ${HOLDS[0] ?? ""})`;
  const readDigest = async () => {
    const [row] = await sender.admin<{ digest: string }[]>`
      select md5(string_agg(w::text, '')) || (select md5(string_agg(e::text, '')) from baseledger.events e)
          as digest
        from baseledger.wallets w`;
    return row?.digest;
  };
  const before = await readDigest();
  const wrong: string[] = [];
  let tried = 0;
  for (const call of (await publicFunctions(sender.admin)).flatMap(badCallsOf)) {
    tried += 1;
    const code = await sender.send(call.role, toQuery(call, "")).catch((error) => String(error));
    if (code?.startsWith("LG") ? code === "LGARG" : code && !code.startsWith("Error")) continue;
    wrong.push(`${formatCall(call)}: ${code ?? "granted"}`);
  }
  if ((await readDigest()) !== before) wrong.push("rows have changed");
  return { tried, wrong: [...wrong, ...(await sender.findings(""))] };
}

/** Parameters that look for something: there may be nothing of any name or number. */
const FINDING = [
  "limits limit_id",
  "list_prices prefix",
  ...["prefix", "unit", "after"].map((name) => `list_wallets ${name}`),
  ...["start_delivery", "finish_delivery"].flatMap((call) =>
    ["wallet_id", "seq", "number", "webhook_id", "error"].map((name) => `${call} ${name}`),
  ),
];

/** Whether a text or a number can be a value of its type. */
function isOfType(value: string, type: string): boolean {
  if (type === "text") return !value.includes("\0");
  const bits = type === "integer" ? 32 : 64;
  return /^-?\d{1,19}$/.test(value) && BigInt.asIntN(bits, BigInt(value)) === BigInt(value);
}

/** For each parameter of a function, and each value of its type: a call with fine other arguments. */
function badCallsOf({ name, roles, parameters }: PublicFunction) {
  return parameters.flatMap((parameter) =>
    (REFUSED[parameter.type] ?? [])
      .filter((value) => !isTaken(name, parameter, value))
      .map((value) => ({
        name,
        role: roles.at(-1) ?? "operator",
        args: parameters.map((each) => {
          const fine = each.type.startsWith("timestamp") ? "now" : (FINE[each.name] ?? null);
          return { ...each, value: each === parameter ? value : fine };
        }),
      })),
  );
}

function isTaken(call: string, { name, type }: Parameter, value: string): boolean {
  if (FINDING.includes(`${call} ${name}`) && isOfType(value, type)) return true;
  if (value.length > HUGE && !ROBUST.includes(call)) return true;
  // A reason may be longer than an id.
  return name === "reason" && value.trim() !== "" && value.length <= 1000;
}
