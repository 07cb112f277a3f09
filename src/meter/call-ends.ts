import type { Reservation } from "../client/index.ts";
import { isUnpriced, OverdraftLimitError, ReservationExpiredError } from "../errors/index.ts";
import type { Metadata, Usage } from "../json/index.ts";
import type { MeterLedger } from "./call.ts";
import { catalogueOf, type ModelFacts } from "./catalogue.ts";
import type { CallEnd } from "./telemetry.ts";
import { type Asked, pricedKinds, type UsageBound, withModel } from "./usage-bound.ts";
import { walletUnit } from "./wallet-units.ts";
import type { Kinds } from "./wire/index.ts";

/** How a call may end. */
export interface Ends {
  used(kinds: Kinds, variant?: string): Promise<CallEnd>;
  atMost(kinds: Kinds, why: string): Promise<CallEnd>;
  free(why: string): Promise<CallEnd>;
  hold(why: string, usage?: Usage): Promise<CallEnd>;
}

export interface EndOptions {
  readonly ledger: MeterLedger;
  readonly asked: Asked;
  readonly facts: ModelFacts;
  readonly bound: UsageBound;
  /** The most that may be used, with the limit that was granted. */
  readonly most: Kinds;
  readonly reservation: Reservation;
}

/** Makes the ends of a call. They reject if it could not be booked. */
export function createEnds(options: EndOptions): Ends {
  const { ledger, asked, facts, bound, most, reservation } = options;
  const { walletId, id: reservationId } = reservation;

  async function used(kinds: Kinds, variant = asked.variant): Promise<CallEnd> {
    const found = await findVariant(variant);
    const priced = found && pricedKinds(kinds, found);
    const usage = variant === asked.variant ? (priced ?? kinds) : { variant, ...(priced ?? kinds) };
    if (!priced) return hold("unpriced", usage);
    return book("usage", usage);
  }

  /** What is known of the variant of an answer; of that of the request if it cannot be read. */
  async function findVariant(variant: string): Promise<ModelFacts | undefined> {
    if (variant === asked.variant) return facts;
    const reading = catalogueOf(ledger).find(asked.model, variant);
    return reading.catch(() => facts);
  }

  async function atMost(kinds: Kinds, why: string): Promise<CallEnd> {
    const known = Object.entries(kinds).filter(([kind]) => !kind.startsWith("output"));
    const output = bound.outputKind;
    const all: Record<string, number> = {
      ...Object.fromEntries(known),
      ...(output !== undefined && { [output]: most[output] ?? 0 }),
    };
    for (const [fee, n] of Object.entries(asked.fees)) all[fee] = Math.max(n, all[fee] ?? 0);
    const usage = pricedKinds(all, facts);
    const cost = usage && (await costOf(usage));
    if (cost === undefined || cost > reservation.amount) return hold(why, usage);
    return book("bound", usage as Usage, why);
  }

  /** Undefined if the database does not say. */
  async function costOf(kinds: Kinds): Promise<bigint | undefined> {
    try {
      const { scale } = await walletUnit(ledger, walletId);
      const { amount } = await ledger.quote({ usage: withModel(asked, kinds), scale });
      return amount;
    } catch {
      return undefined;
    }
  }

  async function book(basis: "usage" | "bound", usage: Usage, why?: string): Promise<CallEnd> {
    try {
      const metadata = { basis, ...(why !== undefined && { why }) };
      const { amount } = await reservation.settle(usage, metadata);
      return { basis, amount, usage, why };
    } catch (error) {
      if (isUnpriced(error)) return bookInstead("unpriced", usage);
      if (error instanceof OverdraftLimitError) {
        await bookInstead("overdraft limit", usage);
        throw error;
      }
      return retried(basis, usage, why);
    }
  }

  async function hold(why: string, usage?: Usage): Promise<CallEnd> {
    try {
      const { amount } = await reservation.settle(reservation.amount, holdMetadata(why, usage));
      return { basis: "hold", amount, usage, why };
    } catch {
      return retried("hold", usage, why);
    }
  }

  /** The reservation still has the usage that was refused, so it is settled from outside. */
  async function bookInstead(why: string, usage: Usage): Promise<CallEnd> {
    const { amount } = reservation;
    const metadata = holdMetadata(why, usage);
    await ledger.settle({ walletId, reservationId, amount, metadata });
    return { basis: "hold", amount, usage, why };
  }

  /** Tries once more; fails with an error that says what to send again. */
  async function retried(
    basis: CallEnd["basis"],
    usage: Usage | undefined,
    why: string | undefined,
  ): Promise<CallEnd> {
    await reservation.close();
    return { basis, amount: undefined, usage, why };
  }

  async function free(why: string): Promise<CallEnd> {
    try {
      await reservation.cancel({ reason: why });
    } catch (error) {
      // It was returned to the wallet before.
      if (!(error instanceof ReservationExpiredError)) throw error;
    }
    return { basis: "none", amount: 0n, why };
  }

  return { used, atMost, free, hold };
}

function holdMetadata(why: string, usage: Usage | undefined): Metadata {
  return { basis: "hold", why, ...(usage && { usage: usage as Metadata }) };
}
