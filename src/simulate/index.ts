export type { Assumptions } from "./moments.ts";
export { plotFunds, plotLegend } from "./plot.ts";
export { type Simulation, type Sum, simulate, sufficientCredit } from "./simulate.ts";
