/*
 * What programs show in a terminal and read from a command line; it knows nothing of the ledger.
 * Libraries that are slow to load (progress bars, CSV, charts) are loaded when they are used.
 */
export {
  type Axis,
  type Canvas,
  canvasOf,
  drawChart,
  drawLegend,
  marksBetween,
  numberAxis,
  plotColumns,
  type Series,
} from "./chart.ts";
export { canAsk, confirm, type Terminal } from "./confirm.ts";
export { EXIT, type ExitCode, exitOnInterrupt } from "./exit.ts";
export { fitted, flow, type Part, part, shortened, widthOf } from "./layout.ts";
export { formatCount, formatNumber, formatSeconds, formatSpan, formatTime } from "./numbers.ts";
export {
  DURATIONS,
  decimalNumber,
  optionParser,
  parseDuration,
  positiveNumber,
  wholeNumber,
} from "./options.ts";
export {
  createLogger,
  csvText,
  endWithOutput,
  hasPrinted,
  type LogFormat,
  type Logger,
  printAll,
  printCsv,
  printError,
  printedAll,
  printJson,
  printJsonArray,
  printLine,
  printLines,
  printTable,
  toJson,
} from "./output.ts";
export {
  type BarPart,
  createProgress,
  drawBar,
  fundsBar,
  noProgress,
  type Progress,
  type ProgressView,
  progressBar,
} from "./progress.ts";
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
