// Limits: what is used of them, what they refuse, and when they alert. What is used is computed from
// the journal each time: the model has no counters. Part of the model: see ../model.ts.
import type { Json } from "../../../src/json/index.ts";
import type { Event, Reservation, Wallet } from "../model.ts";
import { MAX, type Refusal, type Time } from "../requests.ts";
import { type Labels, labelValue } from "./access.ts";
import { tokensOf } from "./prices.ts";
import { isIn, type Per, type Window, windowAt } from "./windows.ts";

export interface Limit {
  readonly limit_id: string;
  readonly amount: bigint | null;
  readonly per: Per;
  readonly by: readonly string[];
  readonly of: "amount" | "calls" | "open" | "tokens";
  readonly time_zone: string;
  readonly hard: boolean;
  /** Percentages. */
  readonly alert_at: readonly number[];
  /** When and by which event it was first set. */
  readonly set_at: Time;
  readonly set_seq: bigint;
  /** Amounts of single combinations, by {@link nameOf}. */
  readonly own: ReadonlyMap<string, bigint>;
}

/** What a combination of label values uses of a limit. */
export interface Use {
  readonly values: readonly string[];
  readonly spent: bigint;
  readonly held: bigint;
}

/** A row of baseledger.alerts, but for its place in the call. */
export interface Alert {
  readonly kind: "limit" | "low_balance";
  readonly threshold: bigint;
  readonly limit_id: string | null;
  readonly label_values: readonly string[] | null;
  readonly amount: bigint;
  readonly value: bigint;
  readonly starts_at: Time | string | null;
  readonly ends_at: Time | string | null;
  readonly occurred_at: Time;
}

/** A combination as a text. */
export function nameOf(values: readonly string[]): string {
  return JSON.stringify(values);
}

/** The values of a limit's labels. */
export function valuesOf({ by }: Pick<Limit, "by">, labels: Labels): string[] {
  return by.map((name) => labelValue(labels, name));
}

/** The amount of a combination: its own, or that of the limit. */
function amountOf(limit: Limit, values: readonly string[]): bigint | null {
  return limit.own.get(nameOf(values)) ?? limit.amount;
}

/** What is used of a limit at an instant, by combinations; what is due then holds nothing. */
export function usesOf(wallet: Wallet, limit: Limit, at: Time): Map<string, Use> {
  const uses = new Map<string, Use>();
  const add = (labels: Labels, spent: bigint, held: bigint) => {
    const values = valuesOf(limit, labels);
    const was = uses.get(nameOf(values)) ?? { values, spent: 0n, held: 0n };
    uses.set(nameOf(values), { values, spent: was.spent + spent, held: was.held + held });
  };
  const window = windowAt(limit.per, limit.time_zone, at);
  for (const event of wallet.journal) {
    const opened = wallet.reservations.get(event.reservation_id ?? "")?.opened;
    if (!opened || event.seq <= limit.set_seq || !isIn(window, event.instant)) continue;
    const spent = spentBy(limit, event, opened, window);
    if (spent !== null) add(opened.labels, spent, 0n);
  }
  for (const r of wallet.reservations.values()) {
    if (r.status !== "open" || (r.expires_at ?? 0n) <= at) continue;
    add(r.opened.labels, 0n, heldBy(wallet, limit, r));
  }
  return uses;
}

/** What an open reservation holds of a limit. */
function heldBy({ journal }: Wallet, { of }: Limit, { reservation_id, held }: Reservation): bigint {
  if (of !== "tokens") return { amount: held, calls: 0n, open: 1n }[of];
  const its = journal.filter((event) => event.reservation_id === reservation_id);
  const sum = (name: string) =>
    its.reduce((all, e) => (e.event === name ? all + tokensOf(usageOf(e)) : all), 0n);
  const left = sum("reserved") - sum("settled");
  return left > 0n ? left : 0n;
}

function usageOf({ details }: Event): Json {
  return (details as { readonly usage?: Json } | null)?.usage ?? null;
}

/** What an event of a reservation has spent; null if it does not concern what is spent. */
function spentBy(
  { of, set_at }: Limit,
  happened: Event,
  opened: Reservation["opened"],
  window: Window,
): bigint | null {
  const { event, amount } = happened;
  const isSpending = event === "settled" || event === "charged";
  if (of === "calls") return event === "reserved" || event === "charged" ? 1n : null;
  if (of === "open") return null;
  if (of === "tokens") return isSpending ? tokensOf(usageOf(happened)) : null;
  if (isSpending) return amount ?? 0n;
  const counts = isIn(window, opened.instant) && opened.instant >= set_at;
  return event === "refunded" && counts ? -(amount ?? 0n) : null;
}

function useOf(wallet: Wallet, limit: Limit, values: readonly string[], at: Time): Use {
  return usesOf(wallet, limit, at).get(nameOf(values)) ?? { values, spent: 0n, held: 0n };
}

/** What a command adds to what is used: an amount, calls, open reservations, tokens. */
export interface Addition {
  readonly labels: Labels;
  readonly amount: bigint;
  readonly calls: bigint;
  readonly open: bigint;
  readonly tokens: bigint;
}

/** Why a command is not granted, and until when: null for ever. */
export interface Obstacle {
  readonly refusal: Refusal;
  readonly clears_at: Time | null;
}

/** A limit that counts in a command, with what it leaves. */
interface Checked {
  readonly limit: Limit;
  readonly amount: bigint;
  readonly use: Use;
}

/** The limits of a wallet in the order of their ids, bytewise. */
export function sortedLimits({ limits }: Wallet): Limit[] {
  return [...limits.values()].sort((a, b) =>
    Buffer.compare(Buffer.from(a.limit_id), Buffer.from(b.limit_id)),
  );
}

function checkedLimits(wallet: Wallet, labels: Labels, at: Time): Checked[] {
  return sortedLimits(wallet).flatMap((limit) => {
    const values = valuesOf(limit, labels);
    const amount = amountOf(limit, values);
    if (!limit.hard || amount === null) return [];
    return [{ limit, amount, use: useOf(wallet, limit, values, at) }];
  });
}

/** How much the hard limits of amounts leave; null without any. */
export function leftOf(wallet: Wallet, labels: Labels, at: Time): bigint | null {
  const left = checkedLimits(wallet, labels, at)
    .filter(({ limit }) => limit.of === "amount")
    .map(({ amount, use }) => amount - use.spent - use.held);
  return left.reduce<bigint | null>((a, b) => (a === null || b < a ? b : a), null);
}

/** The hard limits that a command would exceed, in the order of their ids. */
export function limitObstacles(
  wallet: Wallet,
  addition: Addition,
  at: Time,
  deadline: Time | null,
): Obstacle[] {
  return checkedLimits(wallet, addition.labels, at).flatMap(({ limit, amount, use }) => {
    const requested = addition[limit.of];
    const used = use.spent + use.held;
    if (requested === 0n || used + requested <= amount) return [];
    const held = use.spent + requested <= amount;
    const { ends_at } = windowAt(limit.per, limit.time_zone, at);
    const resets_at = held || requested > amount ? null : ends_at;
    const retry_at = held ? deadline : null;
    const { limit_id, per, of } = limit;
    const detail: Record<string, Json> = {
      limit_id,
      values: [...use.values],
      per,
      of,
      amount,
      used,
      held: use.held,
      requested,
      shortfall: used + requested - amount,
      reason: held ? "held" : "exhausted",
      retry_at,
      resets_at,
    };
    return [{ refusal: { refused: "LGLIM", detail }, clears_at: held ? retry_at : resets_at }];
  });
}

/** The obstacle that clears last; of several the first. */
export function lastToClear(obstacles: readonly Obstacle[]): Refusal | undefined {
  const [first, ...rest] = obstacles;
  const clearsLater = (a: Time | null, b: Time | null) => b !== null && (a === null || a > b);
  return rest.reduce(
    (last, each) => (last && clearsLater(each.clears_at, last.clears_at) ? each : last),
    first,
  )?.refusal;
}

/** What an event alerts to; `before` is the wallet without the event. */
export function alertsOf(wallet: Wallet, before: Wallet, event: Event): Alert[] {
  return [...limitAlerts(wallet, event), ...lowBalances(wallet, before, event)];
}

const SPENDING = ["reserved", "charged", "settled"];

/** Thresholds that spending has reached, each once in a window. */
function limitAlerts(wallet: Wallet, happened: Event): Alert[] {
  const { event, instant, ...rest } = happened;
  const opened = wallet.reservations.get(rest.reservation_id ?? "")?.opened;
  if (!opened || !SPENDING.includes(event)) return [];
  return [...wallet.limits.values()].flatMap((limit) => {
    const a = limit.of === "tokens" ? tokensOf(usageOf(happened)) : rest.amount;
    if (limit.of === "calls" ? event === "settled" : event === "reserved" || a === 0n) return [];
    const values = valuesOf(limit, opened.labels);
    const amount = amountOf(limit, values);
    if (amount === null || amount === 0n || limit.alert_at.length === 0) return [];
    const { spent } = useOf(wallet, limit, values, instant);
    const { limit_id, set_seq } = limit;
    const window = windowAt(limit.per, limit.time_zone, instant);
    return limit.alert_at.flatMap((threshold): Alert[] => {
      const name = [limit_id, set_seq, nameOf(values), window.starts_at, threshold].join(" ");
      if (spent * 100n < BigInt(threshold) * amount || wallet.alerted.has(name)) return [];
      wallet.alerted.add(name);
      return [
        {
          kind: "limit",
          threshold: BigInt(threshold),
          limit_id,
          label_values: values,
          amount,
          value: spent,
          ...bounds(window),
          occurred_at: rest.occurred_at,
        },
      ];
    });
  });
}

/** A window as the database shows it. */
export function bounds({ starts_at, ends_at }: Window) {
  return { starts_at: starts_at ?? "-infinity", ends_at: ends_at ?? "infinity" };
}

/** Amounts below which the funds have fallen. */
function lowBalances(wallet: Wallet, before: Wallet, { occurred_at }: Event): Alert[] {
  const value = wallet.available + wallet.reserved;
  const was = before.available + before.reserved;
  return wallet.low_balances
    .filter((amount) => was >= amount && value < amount)
    .map((amount) => ({
      kind: "low_balance",
      threshold: amount,
      limit_id: null,
      label_values: null,
      amount,
      value,
      starts_at: null,
      ends_at: null,
      occurred_at,
    }));
}

/** A row of `limits`. */
type LimitRow = Readonly<Record<string, unknown>> & {
  readonly label_values: readonly string[] | null;
};

/** What `limits` shows of a limit at an instant: combinations that use something, or have an amount. */
export function limitRows(
  wallet: Wallet,
  limit: Limit,
  at: Time,
  sees: (values: readonly string[]) => boolean = () => true,
): LimitRow[] {
  const uses = usesOf(wallet, limit, at);
  for (const name of limit.own.keys()) {
    const values = JSON.parse(name) as string[];
    if (!uses.has(name)) uses.set(name, { values, spent: 0n, held: 0n });
  }
  const { limit_id, per, by, of, time_zone, hard, alert_at } = limit;
  const common = { limit_id, per, by, of, time_zone, hard, alert_at };
  const window = windowAt(per, time_zone, at);
  const rows = [...uses].flatMap(([name, { values, spent, held }]) => {
    const own_amount = limit.own.get(name) ?? null;
    const used = spent + held;
    if ((spent === 0n && held === 0n && own_amount === null) || !sees(values)) return [];
    const amount = own_amount ?? limit.amount;
    // As in the SQL: the columns are 64-bit numbers.
    const capped = (sum: bigint) => (sum > MAX ? MAX : sum);
    const remaining = amount === null ? null : amount > used ? amount - used : 0n;
    return [
      {
        ...common,
        amount: limit.amount,
        label_values: values,
        own_amount,
        used: capped(used),
        held: capped(held),
        remaining,
        ...window,
      },
    ];
  });
  if (rows.length > 0) return rows.sort(byValues);
  const { amount } = limit;
  const nothing = { amount, own_amount: null, used: 0n, held: 0n, remaining: amount };
  return [{ ...common, label_values: by.length === 0 ? [] : null, ...nothing, ...window }];
}

interface Combination {
  readonly label_values: readonly string[];
}

function byValues(a: Combination, b: Combination): number {
  const place = a.label_values.findIndex((value, i) => value !== b.label_values[i]);
  const [x, y] = [a.label_values[place] ?? "", b.label_values[place] ?? ""];
  return Buffer.compare(Buffer.from(x), Buffer.from(y));
}
