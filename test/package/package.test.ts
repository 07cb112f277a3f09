// The published package in the project of a user: packed, unpacked into an empty folder with only its
// dependencies beside it, its command run, its types checked.
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, openWallet } from "../../src/generated/index.ts";
import { start } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const ALL = { recursive: true } as const;
/** What `npm install baseledger` brings. */
const INSTALLED = ["eventsource-parser", "is-network-error", "p-retry", "postgres"];

let database: TestDatabase;
let sql: postgres.Sql;
let project: string;
/** The package in the project. */
let own: string;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  project = mkdtempSync(join(tmpdir(), "project-"));
  await install();
}, 120_000);

afterAll(async () => {
  await sql.end();
  await database.drop();
  rmSync(project, { recursive: true });
});

/** Does what `npm install <tarball>` does, with the packages that are installed here. */
async function install(): Promise<void> {
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(join(root, "dist", "removed.js"), "// left by an earlier build");
  await run("npm", ["pack", "--pack-destination", project], { cwd: root });
  const modules = join(project, "node_modules");
  own = join(modules, "baseledger");
  mkdirSync(own, { recursive: true });
  const [tarball = ""] = await readdir(project).then((names) =>
    names.filter((n) => /tgz$/.test(n)),
  );
  await run("tar", ["-xzf", join(project, tarball), "-C", own, "--strip-components=1"]);
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) link(name, modules);
  mkdirSync(join(modules, ".bin"));
  chmodSync(bin(), 0o755);
  symlinkSync(bin(), join(modules, ".bin", "baseledger"));
  await write("package.json", JSON.stringify({ type: "module", private: true }));
}

function link(name: string, modules: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(root, "node_modules", name), join(modules, name));
}

function write(name: string, text: string): Promise<void> {
  return writeFile(join(project, name), text);
}

/** Runs a program in the project, and gives its output. */
async function inProject(program: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: database.url };
  const { stdout } = await run(program, args, { cwd: project, env }).catch(({ stdout, stderr }) =>
    expect.fail(`${program} ${args.join(" ")}: ${stdout}${stderr}`),
  );
  return stdout;
}

/** Files of the package with this ending, relative to it. */
async function shipped(ending: string, folder = "."): Promise<string[]> {
  const names = await readdir(join(own, folder), ALL);
  return names.filter((name) => name.endsWith(ending)).map((name) => join(folder, name));
}

const bin = () => join(own, manifest.bin.baseledger);

const read = (name: string) => readFileSync(join(own, name), "utf8");

const npx = (...args: string[]) => inProject("npx", "--no", "--", "baseledger", ...args);

/** Checks all types, also those of the libraries, as strictly as a project can, and makes JavaScript. */
async function compile(): Promise<void> {
  const compilerOptions = {
    module: "nodenext",
    target: "es2022",
    outDir: "out",
    strict: true,
    noUnusedLocals: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ["node"],
  };
  await write("tsconfig.json", JSON.stringify({ compilerOptions }));
  await inProject(process.execPath, join(root, "node_modules", "typescript", "bin", "tsc"));
}

/** A schema of a user: an order and its reservation commit together. */
const SHOP = `
  create schema shop;
  create table shop.orders (id text primary key, state text not null);
  create function shop.place_order(p_id text, p_wallet_id text, p_amount bigint)
    returns baseledger.receipt language plpgsql as '
      begin
        insert into shop.orders values (p_id, ''placed'');
        return baseledger.reserve(p_wallet_id, p_amount, p_id);
      end';
  comment on function shop.place_order is 'Places an order of p_amount.';`;

const PROGRAM = `
  import {
    createLedger, InsufficientFundsError, post, type PostCommand, type PostFundsCommand,
  } from "baseledger";
  import { meteredFetch } from "baseledger/meter";
  import postgres from "postgres";
  import { balance, type WalletBalance } from "./ledger.js";
  import { placeOrder } from "./shop.js";

  const sql = postgres(process.env.DATABASE_URL ?? "");
  const placed = await sql.begin((tx) =>
    placeOrder(tx, { id: "order-1", walletId: "shop", amount: 400n }),
  );
  console.log(placed.event, placed.amount);
  await placeOrder(sql, { id: "order-2", walletId: "shop", amount: 9007199254740993n }).catch(
    (error: unknown) => {
      if (!(error instanceof InsufficientFundsError)) throw error;
      console.log("short of", error.shortfall);
    },
  );
  const left: WalletBalance = await balance(sql, { walletId: "shop" });
  console.log(left.available, (await sql\`select id from shop.orders\`).length);
  // The compiler refuses another field name, and an amount that is no bigint.
  const charge = { op: "charge", amount: 2n ** 62n, idempotency_key: "charge" } as const;
  const [refused] = await post(sql, { walletId: "shop", commands: [charge] });
  console.log(refused?.refused);
  // @ts-expect-error
  const wrong: PostCommand = { op: "charge", amount: 5, idempotency_key: "c" };
  // @ts-expect-error
  const misspelt: PostCommand = { op: "charge", amount: 5n, idempotencyKey: "c" };
  // @ts-expect-error
  const forbidden: PostCommand = { op: "credit", amount: 5n, idempotency_key: "c" };
  const funds: PostFundsCommand[] = [charge, { op: "credit", amount: 5n, idempotency_key: "c" }];
  console.log([wrong, misspelt, forbidden, ...funds].length);
  const metered: typeof fetch = meteredFetch({ ledger: createLedger(sql), wallet: "shop" });
  const unmetered = await metered("https://api.openai.com/v1/batches", { method: "POST" });
  console.log(unmetered.status);
  await sql.end();`;

/** Metering, in a project that has no SDK of a model, and nothing for telemetry. */
const METERED = `
  import { createLedger, type Ledger } from "baseledger";
  import { budget, type BudgetMiddleware } from "baseledger/ai-sdk";
  import { budgeted, meteredFetch } from "baseledger/meter";

  const ledger: Ledger = createLedger(process.env.DATABASE_URL ?? "");
  const middleware: BudgetMiddleware = budget({ ledger, wallet: "shop" });
  const send: typeof fetch = meteredFetch({ ledger, wallet: "shop" });
  const asked = { model: "none", messages: [] };
  const body = JSON.stringify(asked);
  const answer = await send("https://api.openai.com/v1/chat/completions", { method: "POST", body });
  console.log(typeof middleware.wrapStream, answer.status);
  const tool = budgeted(ledger, { wallet: "shop", amount: 100n }, (reservation, n: number) => {
    reservation.spend(0n);
    return n + 1;
  });
  console.log(await tool(1));
  await ledger.close();`;

/** Modules that only the worker, the bench, and commands with CSV load. */
const OF_SOME_COMMANDS = /^(vendor\/(graphile|cosmi|prom|csv|simple-ascii)|worker|bench)/;

/** Prints each module of the package, and each npm package, that a program loads. */
const WITNESS = `
  import { registerHooks } from "node:module";
  import { relative } from "node:path";
  import { fileURLToPath } from "node:url";
  registerHooks({
    load(url, context, next) {
      if (url.startsWith("file:")) {
        const loaded = relative(process.cwd(), fileURLToPath(url));
        if (!loaded.endsWith("witness.js")) process.stdout.write("loads " + loaded + "\\n");
      }
      return next(url, context);
    },
  });`;

/** The modules of dist/ that a program loads. */
async function loadedBy(...args: string[]): Promise<string[]> {
  await write("witness.js", WITNESS);
  const said = await inProject(process.execPath, "--import", "./witness.js", ...args);
  return [...said.matchAll(/^loads .*baseledger\/dist\/(.*)$/gm)].map(([, name = ""]) => name);
}

describe("what is installed", () => {
  test("are the client's dependencies, and no others", async () => {
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
    const packages = Object.entries<{ dev?: boolean; devOptional?: boolean }>(lock.packages)
      .filter(([name, { dev, devOptional }]) => name !== "" && !dev && !devOptional)
      .map(([name]) => name.replace(/^.*node_modules\//, ""));
    expect(packages.sort()).toEqual(INSTALLED);
  });

  test("no registry is named in the lock file", () => {
    expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toContain('"resolved"');
  });

  test("are these files, and a module for each of the sources", async () => {
    expect((await readdir(own)).sort()).toEqual([
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "LICENSE",
      "README.md",
      "db",
      "dist",
      "docs",
      "examples",
      "package.json",
      "test",
    ]);
    const modules = (await readdir(join(root, "src"), ALL)).filter((name) => name.endsWith(".ts"));
    const compiled = (await shipped(".js", "dist")).filter((name) => !/^dist.vendor/.test(name));
    expect(compiled.sort()).toEqual(
      modules.map((name) => join("dist", name.replace(/\.ts$/, ".js"))).sort(),
    );
  });

  test("says where it comes from", () => {
    expect(JSON.parse(read("package.json"))).toMatchObject({
      repository: { type: "git", url: expect.stringMatching(/^git\+https:\/\/.*\.git$/) },
      homepage: expect.stringMatching(/^https:/),
      bugs: { url: expect.stringMatching(/^https:/) },
      engines: { node: expect.any(String) },
      keywords: expect.arrayContaining(["postgresql"]),
    });
  });

  test("has the licence of each package that it contains", async () => {
    const licenses = read("dist/vendor/LICENSES.txt");
    const bundled = Object.keys(manifest.devDependencies).filter((name) =>
      existsSync(join(own, "dist", "vendor", `${name.replace("/", "-")}.js`)),
    );
    expect(bundled).toContain("commander");
    for (const name of ["pg", "graphile-worker", ...bundled]) {
      const { version } = JSON.parse(
        readFileSync(join(root, "node_modules", name, "package.json"), "utf8"),
      );
      expect(licenses).toMatch(new RegExp(`^${name} ${version}, \\S`, "m"));
    }
  });

  test("has maps with their sources", async () => {
    const scripts = (await shipped(".js")).filter((name) => read(name).includes("sourceMapping"));
    expect(scripts.length).toBeGreaterThan(100);
    const maps = scripts.map((name) => `${name}.map`);
    expect((await shipped(".map")).sort()).toEqual(maps.sort());
    for (const map of maps) {
      const { sources, sourcesContent } = JSON.parse(read(map));
      const originals = sources.map((source: string) => join(dirname(map), source));
      expect(originals).toEqual([map.replace(/^dist/, "src").replace(/js\.map$/, "ts")]);
      const [source = ""] = originals;
      expect(sourcesContent).toEqual([readFileSync(join(root, source), "utf8")]);
    }
  });

  // npm's page resolves relative links by `repository`; readers of the installed files have them here.
  test("has the files and anchors that its pages link to", async () => {
    const broken = [];
    for (const page of await shipped(".md")) {
      const links = read(page).matchAll(/\]\(([^()\s]+)\)/g);
      for (const [, link = ""] of links) {
        const [path = "", anchor] = link.split("#");
        if (/^[a-z]+:/.test(link)) continue;
        const target = path === "" ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(own, target))) broken.push(`${page}: ${link}`);
        else if (anchor && !anchorsOf(target).includes(anchor)) broken.push(`${page}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

/** The anchors that GitHub and npm give the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("the package", () => {
  test("loads for its client only what the client needs", async () => {
    await write("client.js", `import { createLedger } from "baseledger";`);
    const loaded = await loadedBy("client.js");
    expect(loaded).toContain("client/ledger.js");
    expect(loaded.filter((name) => /^(cli|vendor|worker|bench|demo)\//.test(name))).toEqual([]);
  });

  // The heaviest of dist/vendor/; all commands need commander and tables.
  test.each([[["--help"]], [["balance", "--help"]], [["verify", "--version"]]])(
    "loads for %j nothing that only other commands need",
    async (args) => {
      const loaded = await loadedBy(bin(), ...args);
      expect(loaded).toContain("vendor/commander.js");
      expect(loaded.filter((name) => OF_SOME_COMMANDS.test(name))).toEqual([]);
    },
  );

  test("runs every command as it is installed", async () => {
    // Completion loads every command.
    const script = await npx("completion", "bash");
    const listed = await npx("--help");
    const names = [...listed.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = ""]) => name);
    expect(names).toContain("worker");
    for (const name of names) expect(script).toMatch(new RegExp(`\\b${name}\\b`));
    await npx("open", "acme");
    expect(await npx("statement", "acme", "--csv")).toContain("opened");
    const { child, said, ended } = start(["worker"], { DATABASE_URL: database.url }, bin());
    await until("it has started", () => said().includes("expiry job started"));
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: 0 });
  });

  test("generates wrappers that another project compiles and runs", async () => {
    await openWallet(sql, { walletId: "shop" });
    await credit(sql, { walletId: "shop", amount: 1000n, idempotencyKey: "c" });
    await sql.unsafe(SHOP);
    const own = ["generate", "shop.ts", "--schema", "shop"];
    expect(await npx(...own)).toBe("shop.ts written\n");
    expect(await npx(...own, "--check")).toBe("shop.ts is up to date\n");
    expect(await npx("generate", "ledger.ts")).toBe("ledger.ts written\n");
    await write("main.ts", PROGRAM);
    await write("metered.ts", METERED);
    await compile();
    expect(await inProject(process.execPath, join("out", "metered.js"))).toBe("function 402\n2\n");
    expect(await inProject(process.execPath, join("out", "main.js"))).toBe(
      "reserved 400n\nshort of 9007199254740393n\n600n 1\nLGNSF\n5\n403\n",
    );
  });
});
