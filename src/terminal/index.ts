/*
 * What programs show in a terminal and read from a command line; it knows nothing of the ledger.
 * Libraries that are slow to load (progress bars, CSV) are loaded when they are used.
 */
export { type BarPart, drawBar, fundsBar, progressBar } from "./bar.ts";
export { csvText, printCsv } from "./csv.ts";
export { DURATIONS, parseDuration } from "./duration.ts";
export { EXIT, type ExitCode, exitOnInterrupt } from "./exit.ts";
export { flow, type Part, part } from "./flow.ts";
export { createLogger, type LogFormat, type Logger } from "./log.ts";
export { formatCount, formatNumber, formatSeconds, formatTime } from "./numbers.ts";
export { decimalNumber, optionParser, positiveNumber, wholeNumber } from "./options.ts";
export {
  endWithOutput,
  hasPrinted,
  printAll,
  printError,
  printedAll,
  printJson,
  printJsonArray,
  printLine,
  printLines,
  printTable,
  toJson,
} from "./output.ts";
export { createProgress, noProgress, type Progress, type ProgressView } from "./progress.ts";
export {
  joined,
  printable,
  printableJson,
  type SafeText,
  styled,
  terminalText,
  text,
  trusted,
  visible,
} from "./safe-text.ts";
export {
  type Column,
  columnsOf,
  type PagedTable,
  pagedTable,
  type Row,
  renderTable,
} from "./table.ts";
export { fitted, shortened, widthOf } from "./width.ts";
