// A ledger in the model for its own tests, with a clock that stands still until it is set.
import { type Answer, call, createLedger, type Ledger } from "../ledger.ts";
import type { Receipt } from "../model.ts";
import { plain } from "../plain.ts";
import type { Arguments, Time } from "../requests.ts";
import { AS_OPERATOR, type Session } from "./access.ts";

/** A wallet `a` with funds, and functions that concern it. */
export interface Scene {
  readonly ledger: Ledger;
  /** Sets the clock, to a time in ISO 8601. */
  at(time: string): Scene;
  /** Calls a function; each call has a key of its own if it names none. */
  do(name: string, args?: Arguments, as?: Session): Answer;
  /** The code of its refusal, or the event. */
  try(name: string, args?: Arguments, as?: Session): string;
  /** The detail of its refusal. */
  why(name: string, args?: Arguments, as?: Session): Arguments;
}

/** The microseconds since 1970 of a time. */
export function time(text: string): Time {
  return plain(`${text}+00:00`) as Time;
}

export function scene(funds = 100, args: Arguments = {}): Scene {
  const ledger = createLedger();
  let now = time("2027-01-15T12:00:00");
  let calls = 0;
  const act = (name: string, given: Arguments = {}, session: Session = AS_OPERATOR) => {
    calls += 1;
    const all = { wallet_id: "a", idempotency_key: `#${calls}`, ...given };
    const clock = () => {
      const last = ledger.get("a")?.journal.at(-1)?.occurred_at ?? 0n;
      return last >= now ? last + 1n : now;
    };
    return call(ledger, name, all, { clock, now, session, key_id: `key_${calls}` });
  };
  const refusalOf = (answer: Answer) => {
    const first = ("refused" in answer ? answer : answer[0]) as Receipt;
    return "refused" in first ? first : undefined;
  };
  const made: Scene = {
    ledger,
    at(text) {
      now = time(text);
      return made;
    },
    do: act,
    try(...call) {
      const answer = act(...call);
      const [first] = "refused" in answer ? [] : answer;
      return refusalOf(answer)?.refused ?? (first && "event" in first ? first.event.event : "");
    },
    why: (...call) => (refusalOf(act(...call))?.detail ?? {}) as Arguments,
  };
  act("open_wallet", { unit: "USD", scale: 9, ...args });
  act("credit", { amount: funds });
  return made;
}

/** The arguments of a limit, with the defaults of `set_limit`. */
export function limitOf(limit_id: string, amount: number | null, more: Arguments = {}): Arguments {
  const defaults = { per: "day", by: [], of: "amount", time_zone: "UTC", hard: true, alert_at: [] };
  return { limit_id, amount, ...defaults, ...more };
}
