export { formatDollars, type NanoDollars, parseDollars } from "./dollars.ts";
export { generateTrace } from "./generate-trace.ts";
export { type Accounts, addMoves, type JournalEvent, movesOf, NO_MONEY } from "./moves.ts";
export { createRandom, type Random } from "./random.ts";
export { type LoggedCall, loadTrace, readTrace, TraceError } from "./read-trace.ts";
export {
  longestAnswer,
  type Model,
  outputTokens,
  type TracedCall,
  usageOf,
  withOutput,
} from "./traced-call.ts";
