import {
  balance,
  type Discrepancy,
  limits,
  listPrices,
  statement,
  verify,
} from "../generated/index.ts";
import type { CallUsage } from "../prices/index.ts";
import { auditCustomer, type CustomerResult } from "./audit.ts";
import { auditCosts, createPricer, type Pricer } from "./audit-costs.ts";
import type { Connections } from "./connections.ts";
import type { Customer } from "./counters.ts";
import type { DemoProgress } from "./progress.ts";
import { readSpending, type Spent, sumSpending } from "./spending.ts";

// More than a demo makes: all counters of a wallet.
const MOST_COUNTERS = 100_000;

/** What the audit of all customers has found. */
export interface Audit {
  readonly customers: readonly CustomerResult[];
  /** How many amounts of events were computed a second time. */
  readonly amounts: number;
  /** How many counters of limits were compared with the journal. */
  readonly counters: number;
  /** What all have spent, by model and team. */
  readonly spending: readonly Spent[];
  /** What `verify` found. */
  readonly discrepancies: readonly Discrepancy[];
  /** What the check in TypeScript found. */
  readonly problems: readonly string[];
}

interface AuditOptions {
  readonly connections: Connections;
  readonly progress: DemoProgress;
}

/** Audits all customers; `sent` has the usage of each reservation. */
export async function auditAll(
  { connections, progress }: AuditOptions,
  all: readonly Customer[],
  sent: ReadonlyMap<string, CallUsage>,
): Promise<Audit> {
  const { auditor } = connections;
  progress.step("Verifying the journal and its hash chain …");
  const verified = all.map(({ walletId }) => verify(auditor, { walletId }));
  const discrepancies = (await Promise.all(verified)).flat();
  progress.step("Computing costs, balances, limits and spending a second time …");
  const pricer = createPricer(await listPrices(auditor, { history: true }));
  const audits = await Promise.all(all.map((one) => auditOne(connections, one, sent, pricer)));
  return {
    customers: audits.map(({ result }) => result),
    amounts: audits.reduce((sum, { amounts }) => sum + amounts, 0),
    counters: audits.reduce((sum, { counters }) => sum + counters, 0),
    spending: sumSpending(audits.flatMap(({ spending }) => spending)),
    discrepancies,
    problems: audits.flatMap(({ problems }) => problems),
  };
}

async function auditOne(
  { auditor, operator, workerLogin }: Connections,
  customer: Customer,
  sent: ReadonlyMap<string, CallUsage>,
  pricer: Pricer,
) {
  const { name, walletId } = customer;
  const found = await balance(operator, { walletId });
  const uses = await limits(operator, { walletId, limit: MOST_COUNTERS });
  const lines = await statement(auditor, { walletId });
  const spending = await readSpending(auditor, walletId);
  const { problems, result } = auditCustomer(customer, found, lines, uses, workerLogin);
  const costs = auditCosts(lines, sent, pricer);
  const own = [...costs.flaws, ...auditSpending(spending, found.spent)];
  return {
    result,
    amounts: costs.compared,
    counters: uses.filter(({ labelValues }) => labelValues !== null).length,
    spending,
    problems: [...problems, ...own.map((problem) => `${name}: ${problem}`)],
  };
}

/** The lines of a wallet's spending must add up to what it has spent. */
export function auditSpending(lines: readonly Spent[], spent: bigint): string[] {
  const sum = lines.reduce((total, { amount }) => total + amount, 0n);
  return sum === spent ? [] : [`spending adds up to ${sum}, but the wallet has spent ${spent}`];
}
