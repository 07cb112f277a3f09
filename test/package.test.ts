// What is published, as the project of somebody who installs it: packed, unpacked into an empty
// folder beside what it says it depends on, its command run, and its types checked.
import { execFile } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, openWallet } from "../src/generated/baseledger.ts";
import { createDatabase, type TestDatabase } from "./support/server.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const ALL = { recursive: true } as const;

let database: TestDatabase;
let sql: postgres.Sql;
let project: string;

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

/** What `npm install <tarball>` does, with the packages that are here already. */
async function install(): Promise<void> {
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(join(root, "dist", "removed.js"), "// left by a build of before");
  await run("npm", ["pack", "--pack-destination", project], { cwd: root });
  const modules = join(project, "node_modules");
  const own = join(modules, "baseledger");
  mkdirSync(own, { recursive: true });
  const [tarball = ""] = await readdir(project).then((names) =>
    names.filter((n) => /tgz$/.test(n)),
  );
  await run("tar", ["-xzf", join(project, tarball), "-C", own, "--strip-components=1"]);
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) link(name, modules);
  mkdirSync(join(modules, ".bin"));
  chmodSync(join(own, manifest.bin.baseledger), 0o755);
  symlinkSync(join(own, manifest.bin.baseledger), join(modules, ".bin", "baseledger"));
  await write("package.json", JSON.stringify({ type: "module", private: true }));
}

function link(name: string, modules: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(root, "node_modules", name), join(modules, name));
}

function write(name: string, text: string): Promise<void> {
  return writeFile(join(project, name), text);
}

/** Runs a program in the project; what it prints. */
async function inProject(program: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: database.url };
  const { stdout } = await run(program, args, { cwd: project, env }).catch(({ stdout, stderr }) =>
    expect.fail(`${program} ${args.join(" ")}: ${stdout}${stderr}`),
  );
  return stdout;
}

const npx = (...args: string[]) => inProject("npx", "--no", "--", "baseledger", ...args);

/** Checks types as strictly as a project can, the libraries' too, and makes JavaScript. */
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

/** A schema of somebody's: an order and its reservation commit together. */
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
    InsufficientFundsError, post, type PostCommand, type PostFundsCommand,
  } from "baseledger";
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
  // A command of a batch is checked: a field of another name, an amount that is no bigint.
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
  await sql.end();`;

describe("the package", () => {
  test("has what the sources give, and no more", async () => {
    const compiled = await readdir(join(project, "node_modules", "baseledger", "dist"), ALL);
    const sources = await readdir(join(root, "src"), ALL);
    const modules = sources.filter((name) => name.endsWith(".ts"));
    expect(compiled.filter((name) => name.endsWith(".js")).sort()).toEqual(
      modules.map((name) => name.replace(/\.ts$/, ".js")).sort(),
    );
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
    await compile();
    expect(await inProject(process.execPath, join("out", "main.js"))).toBe(
      "reserved 400n\nshort of 9007199254740393n\n600n 1\nLGNSF\n5\n",
    );
  });
});
