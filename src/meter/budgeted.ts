import type { HoldTerms, Ledger, Reservation } from "../client/index.ts";
import { LedgerError } from "../errors/index.ts";
import type { Usage } from "../json/index.ts";
import { noteReports, type Reports } from "./reports.ts";
import { type CallObserver, observeCall } from "./telemetry.ts";
import { walletUnit } from "./wallet-units.ts";

/** What {@link budgeted} uses of a ledger. */
export type BudgetLedger = Pick<Ledger, "guard" | "balance">;

/**
 * What a tool may cost at most, and who pays: `amount` in the wallet's smallest step, or `usage`,
 * which the ledger prices, such as `{ model: "tools/search", requests: 1 }`.
 */
export type ToolBudget = Omit<HoldTerms, "walletId"> & {
  /** Id of the wallet. */
  readonly wallet: string;
  /** The tool's name, for spans and metrics. */
  readonly name?: string | undefined;
} & (
    | { readonly amount: bigint; readonly usage?: undefined }
    | { readonly amount?: undefined; readonly usage: Usage }
  );

/**
 * Puts a budget before a tool: a handler of an MCP server, a tool of an agent SDK, or any function. Each
 * call holds what it may cost, runs the handler, and settles what that reports with
 * `reservation.spend`; without a report, the hold. If the handler throws before it has reported anything,
 * the hold is cancelled, or `onThrow` says what to book.
 *
 * A refusal of the ledger is thrown; where the handler is called by an MCP server, it is a result with
 * `isError`, so that the model reads why, with the error in `_meta`. The handler does not run.
 *
 * @param budget - of every call, or a function that finds it from the arguments of one
 */
export function budgeted<A extends unknown[], T>(
  ledger: BudgetLedger,
  budget: ToolBudget | ((...args: A) => ToolBudget | PromiseLike<ToolBudget>),
  handler: (reservation: Reservation, ...args: A) => T | PromiseLike<T>,
): (...args: A) => Promise<T> {
  return async (...args) => {
    const terms = typeof budget === "function" ? await budget(...args) : budget;
    const { wallet, name: _, ...options } = terms;
    const observer = observeTool(ledger, terms);
    let reports: Reports | undefined;
    try {
      const result = await ledger.guard({ ...options, walletId: wallet }, async (reservation) => {
        reports = noteReports(reservation);
        const answer = await handler(reports.reservation, ...args);
        await reports.settle(holdOf(terms, reservation));
        return answer;
      });
      observer.ended({ basis: "usage", amount: reports?.booked(), usage: terms.usage });
      return result;
    } catch (error) {
      if (reports) {
        observer.ended({ basis: "usage", amount: reports.booked(), why: nameOf(error) });
        throw error;
      }
      observer.refused(error instanceof LedgerError ? error.code : nameOf(error), error);
      if (error instanceof LedgerError && isCalledByMcp(args)) return refusalResult(error) as T;
      throw error;
    }
  };
}

/** The hold of a tool without a report. */
function holdOf({ usage, atLeast }: ToolBudget, reservation: Reservation): bigint | Usage {
  // With `atLeast`, less may be held than the usage costs.
  return usage && atLeast === undefined ? usage : reservation.amount;
}

function observeTool(ledger: BudgetLedger, { wallet, name, usage }: ToolBudget): CallObserver {
  return observeCall({
    operation: "execute_tool",
    model: usage?.model,
    variant: usage?.variant ?? "standard",
    stream: false,
    tool: name,
    walletId: wallet,
    wallet: () => walletUnit(ledger, wallet).catch(() => undefined),
  });
}

/** Whether the last argument is what the SDK of MCP gives to the handler of a request. */
function isCalledByMcp(args: readonly unknown[]): boolean {
  const extra = args.at(-1);
  if (typeof extra !== "object" || extra === null) return false;
  return "requestId" in extra && "sendNotification" in extra && "signal" in extra;
}

/** A refusal as the result of a tool of MCP. */
function refusalResult(error: LedgerError) {
  return {
    isError: true,
    content: [{ type: "text", text: `Refused: ${error.message} (${error.code})` }],
    _meta: { "baseledger/refusal": error.toJSON() },
  };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "_OTHER";
}
