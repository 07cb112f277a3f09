// Histories while faults are injected.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom, type Random } from "../../../src/trace/index.ts";
import { createNetwork } from "../../client/network.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { createCounts } from "./counts.ts";
import { killPostmaster, killServer, OTHER_FAULTS, type Scene, untilBack } from "./kills.ts";
import { type Killable, startClient, startWorkerProcess } from "./processes.ts";
import { createStage, type Stage } from "./stage.ts";
import { failureOf, playWave, untilSwept, verify, type Wave } from "./wave.ts";

/** A run is one kill of the server, with other faults in between. */
export const faults: Part = {
  name: "faults",
  about: "histories while the server, backends, clients, workers and connections are killed",
  run: runFaults,
};

const KILLS_IN_WAVE = 6;
const LOOK_BACK_EVERY = 25;

type Heads = ReadonlyMap<string, string>;

async function runFaults(budget: Budget): Promise<Outcome> {
  const { seed, runs, log } = budget;
  const random = createRandom(seed);
  const counts = createCounts();
  const workers: Killable[] = [];
  const heads = new Map<string, string>();
  await using clearing = new AsyncDisposableStack();
  const stage = clearing.use(await createStage());
  const folder = mkdtempSync(join(tmpdir(), "baseledger-proof-"));
  clearing.defer(() => rmSync(folder, { recursive: true, force: true }));
  clearing.defer(async () => void (await Promise.all(workers.map((worker) => worker.kill()))));
  for (const _ of [1, 2]) workers.push(await startWorkerProcess(stage.url));
  for (let wave = 0; counts.of("serverKills") < runs && performance.now() < budget.until; wave++) {
    const kills = Math.min(KILLS_IN_WAVE, runs - counts.of("serverKills"));
    const name = `${seed}.${wave}`;
    const waveSeed = random.integer(1, 2 ** 31);
    const parts = { stage, workers, folder, name, seed: waveSeed, kills };
    const result = await playFaults(parts, counts);
    for (const [wallet, head] of result.heads) heads.set(wallet, head);
    const lost = wave % LOOK_BACK_EVERY === 0 ? await lookBack(stage, heads) : [];
    const wrong = [...result.wrong, ...lost];
    const found = failureOf(`wave ${wave} of seed ${seed}`, { ...result, wrong });
    if (found) return { ran: counts.all(), ...found };
    log(`${name}: ${counts.format()}`);
  }
  const [wrong] = await atTheEnd(stage, heads);
  return { ran: counts.all(), ...(wrong !== undefined && { failure: `at the end: ${wrong}` }) };
}

interface WaveParts {
  readonly stage: Stage;
  readonly workers: Killable[];
  readonly folder: string;
  readonly name: string;
  readonly seed: number;
  readonly kills: number;
}

async function playFaults(parts: WaveParts, counts: ReturnType<typeof createCounts>) {
  const { stage, name, seed, kills, folder, workers } = parts;
  const random = createRandom(seed);
  await using network = await createNetwork(stage.url);
  const through = network.through(stage.url);
  const urls = [random.chance(0.5) ? stage.url : through, through, stage.url];
  const sweepers = random.integer(0, 1);
  const crowd = { name, seed, bySql: 3, callers: 4, sweepers, urls };
  let processes = 0;

  const act = async (wave: Wave): Promise<void> => {
    const start = () => {
      const file = join(folder, `${name}.${processes}`);
      const options = { url: stage.url, file, seed: seed + processes, wallets: wave.wallets };
      return startClient({ ...options, name: `${name}/${processes++}` });
    };
    const scene: Scene = {
      stage,
      random,
      wave,
      network,
      startClient: start,
      workers,
    };
    for (let kill = 0; kill < kills; kill++) {
      await wave.answers(random.integer(2, 20));
      if (random.chance(0.7)) {
        const other = drawFault(random);
        await OTHER_FAULTS[other]?.(scene);
        counts.add({ [other]: 1 });
        await wave.answers(random.integer(1, 20));
      }
      const alone = random.chance(0.2);
      await (alone ? killPostmaster : killServer)(scene);
      counts.add({ serverKills: 1, ...(alone && { ofThesePostmasterOnly: 1 }) });
    }
    await untilBack(stage);
    await wave.answers(30);
  };
  const result = await playWave(stage, crowd, act);
  counts.add({ waves: 1, ...result.counts });
  return result;
}

/** Draws a fault; processes are killed less often than the rest, as they start slowly. */
function drawFault(random: Random): string {
  const names = Object.keys(OTHER_FAULTS);
  const drawn = names[random.integer(0, names.length - 1)] ?? "";
  const isSlow = drawn === "clientKills" || drawn === "workerKills";
  return isSlow && random.chance(0.75) ? drawFault(random) : drawn;
}

/** Checks that events seen once are still there, under the same number and with the same hash. */
async function lookBack({ admin }: Stage, heads: Heads): Promise<string[]> {
  const rows = await admin<{ wallet_id: string; head: string }[]>`
    select wallet_id, seq || ' ' || encode(hash, 'hex') as head from baseledger.events`;
  const found = new Set(rows.map(({ wallet_id, head }) => `${wallet_id} ${head}`));
  const lost = [...heads].filter(([wallet, head]) => !found.has(`${wallet} ${head}`));
  return lost.map(([wallet, head]) => `${wallet} has lost event ${head}`);
}

/** Checks that the workers have survived, and that the ledger is sound. */
async function atTheEnd(stage: Stage, heads: Heads): Promise<string[]> {
  await untilSwept(stage);
  return [...(await lookBack(stage, heads)), ...(await verify(stage, [null]))];
}
