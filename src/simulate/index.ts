export type { Assumptions } from "./moments.ts";
export { plotFunds } from "./plot.ts";
export { type Simulation, type Sum, simulate, sufficientCredit } from "./simulate.ts";
