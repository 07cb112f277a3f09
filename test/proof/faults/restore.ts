// What was acknowledged is there after a restore from a dump, and on a standby after a fail-over.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../../src/trace/index.ts";
import { findInstalled } from "../../support/installed.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { createCounts } from "./counts.ts";
import { restoreDump } from "./dump.ts";
import { failOver } from "./standby.ts";
import { failureOf } from "./wave.ts";

/** A run is a restore or a fail-over, in turn. */
export const restore: Part = {
  name: "restore",
  about:
    "a dump taken under load is restored, and a standby takes over from a primary that crashed",
  run: runRestore,
};

async function runRestore(budget: Budget): Promise<Outcome> {
  const { seed, runs, log } = budget;
  const random = createRandom(seed);
  const counts = createCounts();
  for (let run = 0; run < runs && performance.now() < budget.until; run++) {
    const folder = mkdtempSync(join(tmpdir(), "baseledger-restore-"));
    // The server may run as another user.
    chmodSync(folder, 0o755);
    try {
      const installed = findInstalled(folder);
      if (!installed) {
        log(
          "skipped: no PostgreSQL of 15 or later is installed here with pg_dump and pg_basebackup",
        );
        return { ran: { skipped: 1 } };
      }
      const name = `${seed}.${run}`;
      const parts = { installed, folder, name, seed: random.integer(1, 2 ** 31) };
      const done = await (run % 2 === 0 ? restoreDump(parts) : failOver(parts));
      counts.add(done.counts);
      log(`${name}: ${counts.format()}`);
      const found = failureOf(`restore ${name}`, done);
      if (found) return { ran: counts.all(), ...found };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { ran: counts.all() };
}
