export { type BudgetLedger, budgeted, type ToolBudget } from "./budgeted.ts";
export { beginCall, type Call, type CallOptions, type MeterLedger } from "./call.ts";
export {
  type MeteredFetchOptions,
  type MeteredRequest,
  meteredFetch,
} from "./metered-fetch.ts";
export type { CallEnd } from "./telemetry.ts";
export { type Asked, type BoundOptions, NoBoundError } from "./usage-bound.ts";
