import type { Receipt } from "../generated/index.ts";
import { AlreadyEndedError } from "./errors.ts";

/** How a reservation ends through its handle. */
export type End = "settled" | "cancelled";

/** The end of a reservation, which comes once. */
export interface Ending {
  /** Throws AlreadyEndedError when it has come, or is under way. */
  requireOpen(): void;
  /** Ends it. Where that fails, it may be tried again. */
  end(how: End, send: () => Promise<Receipt>): Promise<Receipt>;
  /** Whether it has ended; waits for an end that is under way. */
  hasEnded(): Promise<boolean>;
}

/** A reservation that has not ended. */
export function createEnding(reservationId: string): Ending {
  let underWay: { readonly how: End; readonly done: Promise<Receipt> } | undefined;

  function requireOpen(): void {
    if (underWay) throw new AlreadyEndedError(reservationId, underWay.how);
  }

  return {
    requireOpen,
    async end(how, send) {
      requireOpen();
      underWay = { how, done: send() };
      try {
        return await underWay.done;
      } catch (error) {
        underWay = undefined;
        throw error;
      }
    },
    async hasEnded() {
      await underWay?.done.catch(() => undefined);
      return underWay !== undefined;
    },
  };
}
