export { generateTrace } from "./generate-trace.ts";
export { type Accounts, addMoves, type JournalEvent, movesOf, NO_MONEY } from "./moves.ts";
export {
  costOf,
  formatDollars,
  type NanoDollars,
  type Price,
  parseDollars,
  parsePrice,
} from "./pricing.ts";
export { createRandom, type Random } from "./random.ts";
export { loadTrace, longestAnswer, readTrace, type TracedCall, TraceError } from "./read-trace.ts";
