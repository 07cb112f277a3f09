import {
  costOf,
  type NanoDollars,
  type Price,
  type Random,
  type TracedCall,
} from "../trace/index.ts";

/** How a call ends: as it should, or in one of the ways life has. */
export type Fate = "settles" | "over" | "late" | "dies" | "cancels";

/** An answer that never reaches the agent. */
export type LostAnswer =
  | { readonly how: "thrown away" }
  /** The connection breaks this long after the command was sent. */
  | { readonly how: "cut"; readonly afterMs: number };

/** What will happen in one call; all that depends on chance is drawn beforehand. */
export interface PlannedCall {
  /** Unique in the run: the reservation's id, and the stem of its idempotency keys. */
  readonly id: string;
  /** Index of the customer who pays. */
  readonly customer: number;
  /** When it arrives, in milliseconds from the start of the run. */
  readonly arrivesAt: number;
  /** How long the model works on it, in milliseconds. */
  readonly takesMs: number;
  /** What the agent reserves. */
  readonly hold: NanoDollars;
  /** What the call costs in the end. */
  readonly cost: NanoDollars;
  readonly ttlSeconds: number;
  readonly fate: Fate;
  /** Of a late settlement: how long after the deadline it comes. */
  readonly lateByMs: number;
  readonly losesReserve: LostAnswer | undefined;
  readonly losesEnd: LostAnswer | undefined;
}

/** What {@link planCalls} needs to know besides the trace. */
export interface PlanOptions {
  readonly price: Price;
  readonly customers: number;
  /** The most tokens an agent lets the model answer with. */
  readonly maxOutput: number;
  /** How many times faster than the trace's clock the run goes. */
  readonly speed: number;
}

const SHARES: Readonly<Record<Fate, number>> = {
  over: 0.03,
  late: 0.02,
  dies: 0.02,
  cancels: 0.03,
  settles: 0.9,
};
const FATES = Object.keys(SHARES) as Fate[];
const LOST_ANSWERS = 0.04;

// Long enough that no healthy call can miss it, however slow the machine.
const TTL_SECONDS = 600;
// The shortest that the ledger takes, for what is to run out while one watches.
const SHORTEST_TTL_SECONDS = 1;
const LONGEST_TTL_OF_THE_DYING_SECONDS = 3;

// A common pace of a hosted model: half a second to the first token, 25 ms for each one after.
const FIRST_TOKEN_MS = 500;
const TOKEN_MS = 25;

/** Draws what happens to each call of a trace. The same seed and trace give the same plan. */
export function planCalls(
  trace: readonly TracedCall[],
  options: PlanOptions,
  random: Random,
): PlannedCall[] {
  const start = trace[0]?.at ?? 0;
  // A few customers cause most of the traffic, as in life: the n-th has 1/√n of the first's.
  const weights = Array.from({ length: options.customers }, (_, n) => 1 / Math.sqrt(n + 1));
  return trace.map((call, index) => ({
    id: `call-${String(index + 1).padStart(6, "0")}`,
    customer: random.weighted(weights),
    arrivesAt: (call.at - start) / options.speed,
    takesMs: (FIRST_TOKEN_MS + TOKEN_MS * call.outputTokens) / options.speed,
    cost: costOf(options.price, call.inputTokens, call.outputTokens),
    losesReserve: drawLoss(random),
    losesEnd: drawLoss(random),
    ...drawFate(call, options, random),
  }));
}

function drawLoss(random: Random): LostAnswer | undefined {
  if (!random.chance(LOST_ANSWERS)) {
    return undefined;
  }
  return random.chance(0.5)
    ? { how: "thrown away" }
    : { how: "cut", afterMs: random.integer(0, 6) };
}

function drawFate(
  call: TracedCall,
  { price, maxOutput }: PlanOptions,
  random: Random,
): Pick<PlannedCall, "fate" | "hold" | "ttlSeconds" | "lateByMs"> {
  const fate = FATES[random.weighted(Object.values(SHARES))] as Fate;
  const worstCase = atLeastOne(costOf(price, call.inputTokens, maxOutput));
  // Who goes over has counted with a wrong tokenizer, and reserved three fifths of the cost.
  const tooLittle = (costOf(price, call.inputTokens, call.outputTokens) * 3n) / 5n;
  return {
    fate,
    hold: fate === "over" ? atLeastOne(tooLittle) : worstCase,
    ttlSeconds: ttlOf(fate, random),
    // Half come right at the deadline, to race the sweeper; half when it has long been there.
    lateByMs: random.chance(0.5) ? random.integer(2, 20) : random.integer(300, 800),
  };
}

function ttlOf(fate: Fate, random: Random): number {
  if (fate === "dies") {
    return random.integer(SHORTEST_TTL_SECONDS, LONGEST_TTL_OF_THE_DYING_SECONDS);
  }
  return fate === "late" ? SHORTEST_TTL_SECONDS : TTL_SECONDS;
}

// The ledger reserves no nothing, and a call may be free.
function atLeastOne(amount: NanoDollars): NanoDollars {
  return amount > 0n ? amount : 1n;
}

/** How much each customer is given: the same for all, or in relation to what its calls cost. */
export type Credit =
  | { readonly each: NanoDollars }
  /** In percent of what all calls of the customers would cost. */
  | { readonly percent: number };

/**
 * The credit of each customer.
 *
 * A percentage is what they get on average: the first customer gets 0.6 of it and the last 1.4
 * times as much, so that they run out one after the other.
 */
export function creditOf(
  credit: Credit,
  plan: readonly PlannedCall[],
  customers: number,
): NanoDollars[] {
  if ("each" in credit) {
    return Array.from({ length: customers }, () => credit.each);
  }
  const costs: NanoDollars[] = Array.from({ length: customers }, () => 0n);
  for (const { customer, cost } of plan) {
    costs[customer] = (costs[customer] ?? 0n) + cost;
  }
  return costs.map((cost, index) => {
    const spread = customers > 1 ? 0.6 + (0.8 * index) / (customers - 1) : 1;
    // Per mille, because a bigint has no fraction; how much exactly does not matter.
    return atLeastOne((cost * BigInt(Math.round(credit.percent * spread * 10))) / 1000n);
  });
}
