import {
  longestAnswer,
  type Model,
  outputTokens,
  type Random,
  type TracedCall,
  usageOf,
  withOutput,
} from "../trace/index.ts";
import type { Usage } from "../wire/index.ts";

/** How a call ends: settled within its reservation, or with one of the faults. */
export type Fate = "settles" | "over" | "late" | "dies" | "cancels";

/** An answer that never reaches the agent. */
export type LostAnswer =
  | { readonly how: "thrown away" }
  /** The connection breaks this long after the command was sent. */
  | { readonly how: "cut"; readonly afterMs: number };

/** What limits count a call by. */
export interface Labels {
  readonly team: string;
  readonly user: string;
  readonly run: string;
}

/** What will happen in one call: everything random is drawn beforehand. */
export interface PlannedCall {
  /** Unique in the run: the reservation's id, and the prefix of its idempotency keys. */
  readonly id: string;
  /** Index of the customer who pays. */
  readonly customer: number;
  readonly labels: Labels;
  /** When it arrives, in milliseconds from the start of the run. */
  readonly arrivesAt: number;
  /** How long the model works on it, in milliseconds. */
  readonly takesMs: number;
  /** What the agent reserves for. */
  readonly reserves: Usage;
  /** What the call uses in the end. */
  readonly uses: Usage;
  readonly ttlSeconds: number;
  readonly fate: Fate;
  /** Of a late settlement: how long after the deadline it comes. */
  readonly lateByMs: number;
  readonly losesReserve: LostAnswer | undefined;
  readonly losesEnd: LostAnswer | undefined;
}

/** How {@link planCalls} plays a trace. */
export interface PlanOptions extends Model {
  readonly customers: number;
  /** How many times faster than the trace's clock. */
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
// The shortest that the ledger accepts: these are to expire during the run.
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
  // What agents allow the model is enough for every answer in the trace.
  const maxOutput = longestAnswer(trace);
  // A few customers cause most of the traffic, as in life: the n-th has 1/√n of the first's.
  const weights = Array.from({ length: options.customers }, (_, n) => 1 / Math.sqrt(n + 1));
  const draw = createLabels(options.customers);
  return trace.map((call, index) => {
    const uses = usageOf(call, options);
    const customer = random.weighted(weights);
    return {
      id: `call-${String(index + 1).padStart(6, "0")}`,
      customer,
      arrivesAt: (call.at - start) / options.speed,
      takesMs: (FIRST_TOKEN_MS + TOKEN_MS * outputTokens(uses)) / options.speed,
      uses,
      losesReserve: drawLoss(random),
      losesEnd: drawLoss(random),
      ...drawFate(uses, withOutput(uses, maxOutput), random),
      labels: draw(customer, random),
    };
  });
}

const TEAMS = ["search", "support"];
const USERS = 8;
const CALLS_OF_A_RUN = 10;

/** Makes a function that draws the labels of a call. A user makes one run after the other. */
function createLabels(customers: number): (customer: number, random: Random) => Labels {
  const calls = Array.from({ length: customers }, () => Array<number>(USERS).fill(0));
  // Some users ask more than others.
  const weights = Array.from({ length: USERS }, (_, n) => 1 / Math.sqrt(n + 1));
  return (customer, random) => {
    const user = random.weighted(weights);
    const counts = calls[customer] ?? [];
    const run = Math.floor((counts[user] ?? 0) / CALLS_OF_A_RUN) + 1;
    counts[user] = (counts[user] ?? 0) + 1;
    const name = `user-${user + 1}`;
    return { team: TEAMS[user % TEAMS.length] ?? "", user: name, run: `${name}-run-${run}` };
  };
}

function drawLoss(random: Random): LostAnswer | undefined {
  if (!random.chance(LOST_ANSWERS)) return undefined;
  return random.chance(0.5)
    ? { how: "thrown away" }
    : { how: "cut", afterMs: random.integer(0, 6) };
}

function drawFate(
  uses: Usage,
  worstCase: Usage,
  random: Random,
): Pick<PlannedCall, "fate" | "reserves" | "ttlSeconds" | "lateByMs"> {
  const fate = FATES[random.weighted(Object.values(SHARES))] as Fate;
  return {
    fate,
    // An agent with an overage has used a wrong tokenizer.
    reserves: fate === "over" ? threeFifths(uses) : worstCase,
    ttlSeconds: ttlOf(fate, random),
    // Half come right after the deadline, and race the sweep; half come long after the sweep.
    lateByMs: random.chance(0.5) ? random.integer(2, 20) : random.integer(300, 800),
  };
}

function ttlOf(fate: Fate, random: Random): number {
  if (fate === "dies") {
    return random.integer(SHORTEST_TTL_SECONDS, LONGEST_TTL_OF_THE_DYING_SECONDS);
  }
  return fate === "late" ? SHORTEST_TTL_SECONDS : TTL_SECONDS;
}

function threeFifths(usage: Usage): Usage {
  const counts = Object.entries(usage).map(([kind, count]) => {
    return [kind, typeof count === "number" ? Math.floor((count * 3) / 5) : count] as const;
  });
  return Object.fromEntries(counts);
}
