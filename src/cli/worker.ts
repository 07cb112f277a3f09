import { Command, Option } from "commander";
import postgres from "postgres";
import {
  alertCounts,
  limitMetrics,
  sweepStatus,
  walletMetrics,
  walletsAhead,
} from "../generated/index.ts";
import { createLogger, type LogFormat, wholeNumber } from "../terminal/index.ts";
import {
  createMonitor,
  type HealthServer,
  type Monitor,
  PoolerError,
  serveHealth,
  startWorker,
  type Worker,
  type WorkerLogger,
} from "../worker/index.ts";
import { addDatabaseOptions, type DatabaseOptions, open } from "./database.ts";
import { UsageError } from "./failure.ts";
import { untilAskedToEnd } from "./signals.ts";
import { eventsWritten } from "./views.ts";

interface Options extends DatabaseOptions {
  readonly port?: number;
  readonly host: string;
  readonly logFormat: LogFormat;
}

/** `baseledger worker`: the expiry job, until it is asked to end. */
export function workerCommand(): Command {
  const command = new Command("worker")
    .option(
      "--port <n>",
      "serve health and metrics over HTTP; 0 takes a free one",
      wholeNumber(0, 65_535),
    )
    .option("--host <address>", "where to serve them", "0.0.0.0")
    .addOption(
      new Option("--log-format <format>", "of the log on standard error")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText(
      "after",
      "\nThe login must be a member of baseledger_worker. On its first start it makes the schema" +
        "\nbaseledger_worker for graphile-worker's tables, and needs create on the database for" +
        "\nthat. Several workers may run, with one login. It needs a direct connection: behind a" +
        "\npooler in transaction mode it exits with 2." +
        "\n\nWith --port it serves /health/live (it runs), /health/ready (and what is due is swept," +
        "\nor else it says why not) and /metrics for Prometheus. At SIGTERM or Ctrl-C it ends after" +
        "\nthe sweep under way, in 10 seconds at most." +
        "\n\nExamples:\n  DATABASE_URL=postgres://worker@localhost/app baseledger worker" +
        "\n  baseledger worker --port 9464 --log-format json",
    )
    .action(runWorker);
  return addDatabaseOptions(command);
}

async function runWorker(options: Options): Promise<void> {
  const asked = untilAskedToEnd();
  const logger = createLogger(options.logFormat);
  const database = await open(options);
  try {
    const { port } = options;
    if (port === undefined) await work(database.url, logger, asked);
    else await serve(database.url, { ...options, port }, logger, asked);
  } finally {
    await database.stop();
  }
  logger.info("expiry job stopped");
}

async function work(
  url: string,
  logger: WorkerLogger,
  asked: Promise<void>,
  monitor?: Monitor,
): Promise<void> {
  const worker = await startOrExplain(url, logger, monitor);
  monitor?.noteRunning(true);
  await asked;
  monitor?.noteRunning(false);
  await worker.stop();
}

async function startOrExplain(
  url: string,
  logger: WorkerLogger,
  monitor: Monitor | undefined,
): Promise<Worker> {
  const listeners = monitor && { onSweep: monitor.noteSweep, onTrouble: monitor.noteTrouble };
  try {
    return await startWorker({ url, logger, ...listeners });
  } catch (error) {
    throw error instanceof PoolerError ? new UsageError(error.message, { cause: error }) : error;
  }
}

async function serve(
  url: string,
  options: Options & { readonly port: number },
  logger: WorkerLogger,
  asked: Promise<void>,
): Promise<void> {
  // Separate connections: a probe must not wait for a sweep, nor for a count of all wallets
  // or alerts.
  const sql = postgres(url, {
    max: 3,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "baseledger worker health" },
  });
  const monitor = await createMonitor({
    sweepStatus: () => sweepStatus(sql),
    walletsAhead: () => walletsAhead(sql),
    eventsWritten: () => eventsWritten(sql),
    wallets: (limit) => walletMetrics(sql, { limit }),
    limits: (limit) => limitMetrics(sql, { limit }),
    alerts: () => alertCounts(sql),
  });
  const server = await listen(options, monitor);
  try {
    logger.info(`health and metrics on port ${server.port}`);
    await work(url, logger, asked, monitor);
  } finally {
    await Promise.all([server.stop(), sql.end({ timeout: 0 })]);
  }
}

async function listen(
  { host, port }: Options & { readonly port: number },
  { contentType, health, render }: Monitor,
): Promise<HealthServer> {
  try {
    const metrics = async () => ({ contentType, text: await render() });
    return await serveHealth({ host, port, health, metrics });
  } catch (error) {
    throw new UsageError(`cannot serve on ${host}, port ${port}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
