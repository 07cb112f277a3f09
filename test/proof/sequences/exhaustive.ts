import type { Budget, Outcome, Part } from "../part.ts";
import type { Arguments } from "../requests.ts";
import { formatDifference, type Step } from "./compare.ts";
import { createProgress, withPlayers } from "./players.ts";

type Letter = readonly [call: string, args: Arguments];

/** A key that differs in each place of a sequence. */
const FRESH = { idempotency_key: "fresh" };

/** In a batch, the state of a reservation after the first command is not read from the tables. */
const BATCH = [
  { op: "settle", reservation_id: "r1", amount: 2, final: false, idempotency_key: "b1" },
  { op: "settle", reservation_id: "r1", amount: 1, idempotency_key: "b2" },
  { op: "settle", reservation_id: "r1", amount: 1, idempotency_key: "b3" },
];

// The amounts break each rule in some sequences and keep it in others: with 10 available and an
// overdraft limit of 5, r1 and r2 together exceed the funds, and a settlement of 14 exceeds the limit
// unless there was a credit, or the hold was returned.
const ALPHABET: readonly Letter[] = [
  ["reserve", { reservation_id: "r1", amount: 6, idempotency_key: "k1" }],
  ["reserve", { reservation_id: "r1", amount: 5, idempotency_key: "k1" }],
  ["reserve", { reservation_id: "r2", amount: 8, at_least: 3, ttl: 3600, idempotency_key: "k2" }],
  ["settle", { reservation_id: "r1", amount: 4, final: false, ...FRESH }],
  ["settle", { reservation_id: "r1", amount: 3, ...FRESH }],
  ["settle", { reservation_id: "r1", amount: 14, ...FRESH }],
  ["cancel", { reservation_id: "r1", ...FRESH }],
  ["extend", { reservation_id: "r1", ttl: 3600, amount: 7, ...FRESH }],
  ["refund", { reservation_id: "r1", amount: 4, ...FRESH }],
  ["charge", { amount: 3, ...FRESH }],
  ["credit", { amount: 4, ...FRESH }],
  ["post", { commands: BATCH }],
  ["wait", { seconds: 601 }],
  ["expire_due", { limit: 1 }],
];

const WALLET = "a";
const TERMS = { unit: "USD", scale: 9, overdraft_limit: 5 };
const START: readonly Step[] = [
  { call: "open_wallet", args: { wallet_id: WALLET, ...TERMS }, look: null },
  { call: "credit", args: { wallet_id: WALLET, amount: 10, ...FRESH }, look: null },
];
/** Levels played in one round trip: some thousands of steps. */
const DEPTH = 3;

/** Every sequence of so many steps, which includes every shorter one as its beginning. */
export function exhaustivePart(length: number): Part {
  return {
    name: "exhaustive",
    about: `every sequence of ${length} steps out of ${ALPHABET.length}, compared after each step`,
    run: (budget) => playAll(budget, length),
  };
}

async function playAll(budget: Budget, length: number): Promise<Outcome> {
  const possible = ALPHABET.length ** length;
  const counts = { sequences: 0, possible, steps: 0 };
  const progress = createProgress(budget, `of ${possible.toLocaleString("en-US")} sequences`);
  const beginnings = combine(Math.max(length - DEPTH, 1));
  let failure: string | undefined;

  await withPlayers(budget, async (player) => {
    for (const beginning of beginnings) {
      if (failure || counts.sequences >= budget.runs || performance.now() >= budget.until) return;
      const levels = Array.from({ length }, (_, place) => {
        const letters = beginning[place] ? [beginning[place]] : ALPHABET;
        return letters.map((letter) => toStep(letter, place));
      });
      const { sequences, steps, difference } = await player.explore({ start: START, levels });
      counts.sequences += sequences;
      counts.steps += steps;
      if (difference) failure ??= formatDifference(difference);
      progress(counts.sequences);
    }
  });
  return { ran: counts, ...(failure && { failure }) };
}

/** All sequences of a length; players share the generator, so each sequence is played once. */
function* combine(length: number): Generator<readonly Letter[], undefined> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const beginning of combine(length - 1)) {
    for (const letter of ALPHABET) yield [...beginning, letter];
  }
}

function toStep([call, args]: Letter, place: number): Step {
  const key = args.idempotency_key === "fresh" ? { idempotency_key: `k#${place}` } : {};
  const of = "seconds" in args || "limit" in args ? {} : { wallet_id: WALLET };
  const look = { wallet_id: WALLET, index: 3 * place + 2, shift: (place % 3) - 1 };
  return { call, args: { ...of, ...args, ...key }, look };
}
