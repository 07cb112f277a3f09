import type { Bench } from "./bench.ts";
import { measure, type Sample, warmUp } from "./measure.ts";
import { type CallerWorkload, createPicker, type WireWorkload, type Workload } from "./workload.ts";

/** A workload whose clients are connected and warm. */
export interface Load {
  /** Lets them work for a while. */
  measure(seconds: number): Promise<Sample>;
}

/** Makes a workload ready; `database` is where the load generator sends its SQL. */
export async function openLoad(
  bench: Bench,
  workload: Workload,
  database = bench.byStatement,
): Promise<Load> {
  const run =
    workload.family === "client"
      ? await openCallers(bench, workload)
      : await openGenerator(bench, workload, database.urls.agent);
  return {
    measure: async (seconds) => {
      const before = bench.server.cpuSeconds();
      const result = await run(seconds);
      const after = bench.server.cpuSeconds();
      const used = before === null || after === null ? null : after - before;
      return { ...result, serverCpu: used === null ? null : (used * 1e6) / result.operations };
    },
  };
}

async function openCallers(bench: Bench, workload: CallerWorkload) {
  const pick = createPicker(workload.wallets, countsOf(bench), bench.random);
  const callers = Array.from({ length: workload.clients }, (_, caller) =>
    workload.create(bench, pick, caller),
  );
  await warmUp(callers);
  return (seconds: number) => measure(callers, seconds);
}

async function openGenerator(bench: Bench, { name }: WireWorkload, url: string) {
  return bench.generator.open({
    workload: name,
    url,
    wallets: countsOf(bench),
    calls: bench.calls.map(({ hold, cost }) => ({ hold: `${hold}`, cost: `${cost}` })),
    seed: bench.seed,
  });
}

function countsOf({ wallets, zipfWallets }: Bench) {
  return { spread: wallets, zipf: zipfWallets };
}
