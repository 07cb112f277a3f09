import { createRandom } from "../trace/index.ts";
import type { Answer, Job, Request } from "./generator.ts";
import { type Run, summarizeRun, WARM_UPS } from "./measure.ts";
import { connectWire, type WireConnection } from "./wire.ts";
import { findWireWorkload } from "./wire-workloads.ts";
import { CLIENTS, createPicker, cycle, type NextStep } from "./workload.ts";

/* The program of the load generator, which generator.ts starts. */

interface WireClient {
  readonly connection: WireConnection;
  readonly nextStep: NextStep;
}

// Until then the code of a workload is not compiled, and costs about twice as much.
const WARM_UP_MS = 200;

const connections = new Map<string, readonly WireConnection[]>();
const opened: (readonly WireClient[])[] = [];

process.on("message", (request: Request) => {
  answer(request).then(
    (done) => process.send?.(done),
    (error: Error) => process.send?.({ error: error.message } satisfies Answer),
  );
});
// A terminal sends Ctrl-C to all programs: this one ends with the bench.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.exit());

async function answer(request: Request): Promise<Answer> {
  if ("open" in request) return { opened: await open(request.open) };
  const clients = opened[request.run];
  if (!clients) throw new Error("this workload was not opened");
  return { measured: await run(clients, request.seconds) };
}

async function open(job: Job): Promise<number> {
  const workload = findWireWorkload(job.workload);
  const nextCall = cycle(job.calls);
  const pick = createPicker(workload.wallets, job.wallets, createRandom(job.seed));
  const clients = (await connect(job.url)).map((connection) => ({
    connection,
    nextStep: workload.create(nextCall, pick),
  }));
  const end = performance.now() + WARM_UP_MS;
  const again = (steps: number): boolean => steps < WARM_UPS || performance.now() < end;
  await Promise.all(clients.map((client) => repeat(client, again)));
  return opened.push(clients) - 1;
}

/** Connects once to each database: its workloads are measured one after the other. */
async function connect(url: string): Promise<readonly WireConnection[]> {
  let made = connections.get(url);
  if (!made) {
    made = await Promise.all(Array.from({ length: CLIENTS }, () => connectWire(url)));
    connections.set(url, made);
  }
  return made;
}

/** As `measure` does, but without a promise for each step. */
async function run(clients: readonly WireClient[], seconds: number): Promise<Run> {
  const times: number[] = [];
  let operations = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(
    clients.map((client) => {
      let from = start;
      return repeat(client, (_steps, done) => {
        const now = performance.now();
        if (done > 0) {
          operations += done;
          times.push(now - from);
          from = now;
        }
        return now < end;
      });
    }),
  );
  return summarizeRun({ operations, times, start, cpu });
}

/**
 * Sends steps, each when the one before is answered, until `again` says no after one that completes
 * an operation; it gets the number of steps so far, and the operations of the last.
 */
function repeat(
  { connection, nextStep }: WireClient,
  again: (steps: number, operations: number) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let steps = 0;
    const next = (): void => {
      const { executions, operations } = nextStep();
      connection.execute(executions, (error) => {
        steps += 1;
        if (error) reject(error);
        else if (again(steps, operations) || operations === 0) next();
        else resolve();
      });
    };
    next();
  });
}
