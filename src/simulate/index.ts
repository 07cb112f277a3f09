export type { Assumptions, PricedCall } from "./moments.ts";
export { plotFunds } from "./plot.ts";
export { type ModelCost, type PricedTrace, type Pricing, priceCalls } from "./price-calls.ts";
export { type Simulation, type Sum, simulate, sufficientCredit } from "./simulate.ts";
