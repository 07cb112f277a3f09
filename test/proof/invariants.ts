// The invariants, checked in the model itself: a model that breaks them proves nothing.
import { type Catalogue, costBy } from "./model/prices.ts";
import type { Event, Wallet } from "./model.ts";

/** What does not hold in a wallet, with the number of the invariant. */
export function findBroken(wallet: Wallet, prices: Catalogue = []): string[] {
  const { wallet_id, available, reserved, spent, journal, reservations } = wallet;
  const wrong: string[] = [];
  const check = (holds: boolean, text: string) => {
    if (!holds) wrong.push(`${wallet_id}: ${text}`);
  };

  const funded = journal.reduce((sum, event) => sum + funding(event), 0n);
  check(available + reserved + spent === funded, `1: the balances do not come to ${funded}`);
  const open = [...reservations.values()].filter(({ status }) => status === "open");
  const held = open.reduce((sum, r) => sum + r.held, 0n);
  check(reserved === held && held >= 0n, `3: reserved is ${reserved}, the holds are ${held}`);

  const ended = new Set<string>();
  let before: Event | undefined;
  for (const event of journal) {
    const { seq, open: now, reservation_id: id } = event;
    check(!takes(event) || event.available >= 0n, `2: ${event.event} beyond funds at ${seq}`);
    const cost = costOf(event, wallet, prices);
    check(cost === null || cost === event.amount, `${event.event} at ${seq} costs ${cost}`);
    const isOpen = new Set(now.map((r) => r.reservation_id));
    for (const r of before?.open ?? []) {
      if (!isOpen.has(r.reservation_id)) {
        check(r.reservation_id === id, `4: ${r.reservation_id} ends by another's event ${seq}`);
        ended.add(r.reservation_id);
      }
    }
    for (const name of isOpen) check(!ended.has(name), `4: ${name} is open again at ${seq}`);
    before = event;
  }
  for (const r of reservations.values()) {
    check(r.status === "open" || r.held === 0n, `4: ${r.reservation_id} has ended and holds funds`);
  }
  return wrong;
}

/**
 * What the usage of an event costs by the row that it names: null without usage, or where less than
 * that could be granted.
 */
function costOf({ details, command }: Event, { terms }: Wallet, prices: Catalogue) {
  const { usage = null, price } = (details ?? {}) as Record<string, never>;
  if (usage === null || command?.at_least != null) return null;
  return costBy(
    prices.find(({ price_id }) => price_id === price),
    usage,
    terms.scale,
  );
}

/** Whether an event may only take from available what is there. */
function takes({ event, amount, command }: Event): boolean {
  if (command?.already_spent || amount === 0n) return false;
  return TAKING.includes(event) || (event === "extended" && (amount ?? 0n) > 0n);
}
const TAKING = ["reserved", "charged", "withdrawn", "transferred_out"];

function funding({ event, amount }: Event): bigint {
  if (event === "credited" || event === "transferred_in") return amount ?? 0n;
  return event === "withdrawn" || event === "transferred_out" ? -(amount ?? 0n) : 0n;
}
