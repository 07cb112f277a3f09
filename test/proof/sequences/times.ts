// Generates how time passes: the clock is set forward, and wallets come close to a border of time.
import fc from "fast-check";
import type { Step } from "./compare.ts";

type Call = Pick<Step, "call" | "args">;

/** When sequences begin: shortly before something special in some zone, or on no special day. */
export const BEGINNINGS = [
  "2026-06-17T09:20:00+00:00",
  // Havana has two midnights, and then none.
  "2025-11-02T03:59:00+00:00",
  "2027-03-14T04:58:00+00:00",
  // Berlin has a day of 23 hours, and one of 25.
  "2027-03-27T22:30:00+00:00",
  "2026-10-24T21:30:00+00:00",
  // Cairo's day begins at one o'clock.
  "2027-04-29T21:50:00+00:00",
  // The end of a year, of a leap day, and of a month that is a week's end too.
  "2026-12-31T23:58:00+00:00",
  "2028-02-29T23:00:00+00:00",
  "2027-01-31T18:25:00+00:00",
] as const;

export const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/Havana",
  "Africa/Cairo",
  "Asia/Kolkata",
  "Pacific/Chatham",
  "America/Los_Angeles",
] as const;
const BOUNDED = ["minute", "hour", "day", "week", "month", "year"] as const;

/** The clock is set forward: past a deadline, into another window. */
export const passing = fc
  .constantFrom(30, 61, 601, 3601, 43_200, 86_400, 2_592_001)
  .map((seconds): Call[] => [{ call: "wait", args: { seconds } }]);

/** The clock is set to seconds before the end of a window, and a wallet to microseconds before it. */
export const bordering = fc
  .record({
    wallet_id: fc.constantFrom("a", "a", "a", "b"),
    per: fc.constantFrom(...BOUNDED),
    zone: fc.constantFrom(...ZONES),
    before: fc.integer({ min: 1, max: 5 }),
    frozen: fc.boolean(),
  })
  .map(({ wallet_id, per, zone, before, frozen }): Call[] => [
    { call: "go_to_border", args: { per, zone } },
    {
      call: frozen ? "freeze_wallet" : "unfreeze_wallet",
      args: { wallet_id, reason: "time" },
    },
    { call: "date_last", args: { wallet_id, per, zone, before } },
    { call: "unfreeze_wallet", args: { wallet_id, reason: "time" } },
  ]);
