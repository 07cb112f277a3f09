/*
 * The demo: agents spend customers' funds while answers get lost and agents die, then an audit. The
 * agents call the wrappers of the SQL functions and have a retry of their own, not the client, which
 * would hide the faults that are shown.
 *
 *   run.ts          runDemo: opens the wallets, runs the agents and the worker, audits
 *   plan.ts         draws beforehand what will happen in each call, and what it will use
 *   forecast.ts     what the ledger says that it will cost, for credits and limits
 *   agents.ts       makes the calls of the plan: reserve, wait, settle or cancel, or die
 *   limits.ts       limits of teams, users and runs; runaway.ts: an agent that its run's limit stops
 *   receiver.ts     gets the alerts of that
 *   delivery.ts     sends a command: loses its answer and retries, or sends it twice at once
 *   connections.ts  logins and pools, and connections that can be cut
 *   counters.ts     every number of a run: how it is shown, summed and checked
 *   audit-all.ts    audits every customer: audit.ts compares the ledger with what the agents sent, and
 *                   replays its journal; audit-limits.ts counts limits again; audit-costs.ts computes
 *                   costs again; spending.ts adds up what was spent by model and team
 *   progress.ts     what a person sees during a run; report.ts after it
 */
export { type Connections, connectToForeign, connectToOwn } from "./connections.ts";
export type { Credit } from "./forecast.ts";
export { createDemoProgress, type DemoProgress } from "./progress.ts";
export { introduce, report } from "./report.ts";
export { runDemo } from "./run.ts";
