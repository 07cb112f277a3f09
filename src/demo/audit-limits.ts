import type { LimitUse, StatementLine } from "../generated/index.ts";
import type { CustomerLimits, DemoLimit } from "./limits.ts";
import type { Labels } from "./plan.ts";

type Use = Pick<LimitUse, "limitId" | "labelValues" | "used" | "held" | "startsAt" | "endsAt">;

/** What a reservation holds, and whose it is. */
interface Open {
  readonly labels: Labels;
  held: bigint;
}

/** What has been spent and is held of one combination, by the journal. */
interface Counter {
  spent: bigint;
  held: bigint;
}

/**
 * Counts each limit anew from the journal, and compares that with what the ledger says now. No
 * reservation may have been granted beyond a limit.
 */
export function auditLimits(
  limits: CustomerLimits,
  lines: readonly StatementLine[],
  uses: readonly Use[],
): string[] {
  return Object.values(limits).flatMap((limit) => {
    const found = uses.filter(({ limitId }) => limitId === limit.limitId);
    const { counters, flaws } = count(limit, lines, windowOf(found));
    return [...flaws, ...compare(limit, counters, found)];
  });
}

type Window = Pick<Use, "startsAt" | "endsAt">;

/** All combinations are in one window, as they are read at one time. */
function windowOf([first]: readonly Use[]): Window {
  return first ?? { startsAt: null, endsAt: null };
}

function count(
  { amount, by, limitId, own }: DemoLimit,
  lines: readonly StatementLine[],
  { startsAt, endsAt }: Window,
): { readonly counters: ReadonlyMap<string, Counter>; readonly flaws: readonly string[] } {
  const counters = new Map<string, Counter>();
  const opened = new Map<string, Open>();
  const flaws: string[] = [];
  const isInWindow = (at: Date): boolean =>
    (startsAt === null || at >= startsAt) && (endsAt === null || at < endsAt);
  for (const { event, metadata, occurredAt, reservationId, seq, ...line } of lines) {
    if (reservationId === null) continue;
    const moved = line.amount ?? 0n;
    const open = opened.get(reservationId) ?? { labels: metadata as unknown as Labels, held: 0n };
    opened.set(reservationId, open);
    const value = open.labels[by];
    const counter = counters.get(value) ?? { spent: 0n, held: 0n };
    counters.set(value, counter);
    if (event === "reserved") {
      open.held = moved;
      counter.held += moved;
      const used = counter.spent + counter.held;
      const most = own?.value === value ? own.amount : amount;
      if (used > most && isInWindow(occurredAt)) {
        flaws.push(`event ${seq} (reserved): ${limitId} (${value}) is ${used}, beyond ${most}`);
      }
      continue;
    }
    // The demo extends nothing: whatever comes next ends it, and a late settlement finds no hold.
    counter.held -= open.held;
    open.held = 0n;
    if (event === "settled" && isInWindow(occurredAt)) counter.spent += moved;
  }
  return { counters, flaws };
}

function compare(
  { limitId }: DemoLimit,
  counters: ReadonlyMap<string, Counter>,
  found: readonly Use[],
): string[] {
  const uses = new Map(found.map((use) => [use.labelValues?.[0] ?? "", use]));
  const values = new Set([...counters.keys(), ...uses.keys()]);
  return [...values].flatMap((value) => {
    const { held, spent } = counters.get(value) ?? { held: 0n, spent: 0n };
    const use = uses.get(value) ?? { held: 0n, used: 0n };
    if (use.used === spent + held && use.held === held) return [];
    return [
      `${limitId} (${value}): the journal says ${spent} spent and ${held} held, ` +
        `the ledger ${use.used - use.held} and ${use.held}`,
    ];
  });
}
