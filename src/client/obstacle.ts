import { InsufficientFundsError, LimitReachedError } from "../errors/index.ts";

/** What a refusal says about waiting. */
export interface Obstacle {
  /** The limit with its combination of values; undefined: funds. */
  readonly limit: string | undefined;
  /** How much would be granted now. */
  readonly room: bigint;
  /** When it may clear by itself. */
  readonly clearsAt: Date | null;
  /** Whether it may clear earlier, as reservations end. */
  readonly mayClearEarlier: boolean;
}

/** What stands in the way of a request that was refused; undefined if waiting does not help. */
export function obstacleOf(error: unknown): Obstacle | undefined {
  if (error instanceof InsufficientFundsError && error.reason === "held") {
    const { available: room, retryAt: clearsAt } = error;
    return { limit: undefined, room, clearsAt, mayClearEarlier: true };
  }
  if (!(error instanceof LimitReachedError)) return undefined;
  const { amount, limitId, of, reason, resetsAt, retryAt, used, values } = error;
  const isHeld = reason === "held";
  if (!isHeld && !resetsAt) return undefined;
  return {
    limit: JSON.stringify([limitId, values]),
    room: of === "amount" && isHeld ? amount - used : 0n,
    clearsAt: isHeld ? retryAt : resetsAt,
    mayClearEarlier: isHeld,
  };
}
