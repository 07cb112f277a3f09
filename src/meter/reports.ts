import type { Booked, Reservation } from "../client/index.ts";
import type { Usage } from "../json/index.ts";

/** Follows what a handler does with its reservation. */
export interface Reports {
  /** The reservation for the handler. */
  readonly reservation: Reservation;
  /** Settles what was reported, or else `hold`, unless the handler has ended the reservation. */
  settle(hold: bigint | Usage): Promise<void>;
  /** What was booked; undefined if no single settlement says it. */
  booked(): bigint | undefined;
}

/** Follows a reservation of `guard`, which settles again what could not be settled here. */
export function noteReports(held: Reservation): Reports {
  const reported = { amounts: 0, usages: 0 };
  let receipt: Booked | undefined;

  const note = (spent: bigint | Usage) => {
    reported[typeof spent === "bigint" ? "amounts" : "usages"] += 1;
  };

  async function end(ending: Promise<Booked>): Promise<Booked> {
    receipt = await ending;
    return receipt;
  }

  const reservation: Reservation = Object.create(held, {
    spend: {
      value: ((spent, metadata) => {
        held.spend(spent, metadata);
        note(spent);
      }) satisfies Reservation["spend"],
    },
    settle: {
      value: (async (spent, metadata) => {
        if (spent !== undefined) note(spent);
        return end(held.settle(spent, metadata));
      }) satisfies Reservation["settle"],
    },
    cancel: {
      value: (async (metadata) => end(held.cancel(metadata))) satisfies Reservation["cancel"],
    },
  });
  return {
    reservation,
    async settle(hold) {
      if (receipt) return;
      try {
        if (reported.amounts + reported.usages === 0) reservation.spend(hold, { basis: "hold" });
        await end(held.settle());
      } catch {
        // `guard` tries it again, and reports what fails.
      }
    },
    booked() {
      // Amounts are settled together, and each usage for itself.
      const settlements = reported.usages + Math.min(reported.amounts, 1);
      return settlements < 2 ? receipt?.amount : undefined;
    },
  };
}
