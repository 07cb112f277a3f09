import { Option } from "commander";
import { UnpricedCallError } from "../prices/index.ts";
import type { LoggedCall, TracedCall } from "../trace/index.ts";
import { type DatabaseOptions, isEmbedded } from "./database.ts";
import { UsageError } from "./failure.ts";

/** A model that most know, and that is in the list prices. */
const USUAL_MODEL = "openai/gpt-5";

/** The option for the model by whose prices calls are priced. */
export function modelOption(): Option {
  return new Option(
    "--model <name>",
    "provider/model of the calls for which the log names none",
  ).default(USUAL_MODEL);
}

/** The calls that were to be priced. */
export interface Unpriced extends DatabaseOptions {
  readonly model: string;
  /** The file that they came from. */
  readonly trace?: string | undefined;
}

/** What to do about a call without a price; any other error is returned as it is. */
export function explainUnpriced(
  error: unknown,
  calls: readonly (TracedCall | LoggedCall)[],
  options: Unpriced,
): unknown {
  if (!(error instanceof UnpricedCallError)) return error;
  const call = calls[error.call];
  const isNamed = call?.usage.model !== undefined || error.reason === "kind";
  const place = isNamed && call && "line" in call ? `${options.trace}, line ${call.line}: ` : "";
  return new UsageError(`${place}${error.message}. ${adviceFor(error, isNamed, options)}`, {
    cause: error,
  });
}

function adviceFor(
  { reason }: UnpricedCallError,
  isNamed: boolean,
  options: DatabaseOptions,
): string {
  if (reason === "kind") {
    return "Leave the cell empty where a call has none of it; a column that is no usage, leave out.";
  }
  const other = isNamed ? "" : "Name another with --model, or set";
  if (!isEmbedded(options)) {
    return `${other || "Set"} its price in this database: baseledger prices import, or prices set.`;
  }
  const own = `${isNamed ? "Set" : "set"} its price in a database of yours and name that with --url`;
  return `${isNamed ? own : `Name another with --model, or ${own}`}; here are list prices only.`;
}
