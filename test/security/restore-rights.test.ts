// A dump that pg_restore restores without owners and rights.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { type Catalog, readCatalog } from "../support/catalog.ts";
import { findInstalled } from "../support/installed.ts";

test("after pg_restore --no-owner --no-privileges nobody adds funds, and migrate repairs the rights", async ({
  skip,
}) => {
  const folder = mkdtempSync(join(tmpdir(), "restore-rights-"));
  chmodSync(folder, 0o755);
  try {
    const installed = findInstalled(folder);
    if (!installed) skip("no PostgreSQL of 15 or later is installed here with pg_dump");
    else await restore(installed, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

type Installed = NonNullable<ReturnType<typeof findInstalled>>;

async function restore(installed: Installed, folder: string): Promise<void> {
  await using server = await startPostgres({ package: installed.package });
  const address = (database: string, user = "") => {
    const url = new URL(`/${database}`, server.url);
    if (user) Object.assign(url, { username: user, password: "secret" });
    return url.href;
  };
  const connect = (url: string) => postgres(url, { max: 1, onnotice: () => undefined });
  const admin = connect(server.url);
  await migrate(server.url);
  await admin.unsafe(`
    select baseledger.open_wallet('w');
    select baseledger.credit('w', 1000, 'funds');
    create role agent login password 'secret';
    grant baseledger_agent to agent;
    create role restorer login createrole password 'secret'`);
  const fresh = await readObjects(admin);
  const dump = join(folder, "dump");
  await installed.tool("pg_dump", ["-d", server.url, "-Fc", "-f", dump]);

  for (const restorer of ["", "restorer"]) {
    const name = `restored${restorer ? "_by_another" : ""}`;
    await admin.unsafe(`create database ${name} template template0`);
    if (restorer) await admin.unsafe(`grant create on database ${name} to ${restorer}`);
    const flags = ["--no-owner", "--no-privileges", "--exit-on-error"];
    const schema = connect(address(name, restorer));
    await installed.tool("pg_restore", ["-d", address(name, restorer), ...flags, dump]);
    await schema.unsafe(`
      grant usage on schema baseledger to baseledger_agent;
      grant execute on all functions in schema baseledger to baseledger_agent`);
    const checks = await schema<{ check: string }[]>`select "check" from baseledger.verify()`;
    expect(new Set(checks.map(({ check }) => check))).toEqual(new Set(["rights"]));

    const agent = connect(address(name, "agent"));
    const credit = agent`select baseledger.credit('w', 1000, 'greed')`;
    await expect(credit).rejects.toMatchObject({ code: "42501" });
    const commands = JSON.stringify([{ op: "credit", amount: 1, idempotency_key: "greed" }]);
    const post = agent`select baseledger.post_funds('w', ${commands}::text::jsonb)`;
    await expect(post).rejects.toMatchObject({ code: "42501" });
    const ofMany = JSON.stringify([
      { wallet_id: "w", op: "credit", amount: 1, idempotency_key: "greed" },
      { wallet_id: "w", op: "charge", amount: 1, idempotency_key: "need" },
    ]);
    const receipts = await agent<{ refused: string | null }[]>`
      select refused from baseledger.post_many(${ofMany}::text::jsonb)`;
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGUNK", null]);
    await agent`select baseledger.reserve('w', 1, 'call')`;
    await agent.end();

    // The role that has restored may also repair, if it may act as the owner.
    if (restorer) await admin.unsafe(`grant baseledger_owner to ${restorer}`);
    expect(await migrate(schema)).toEqual([]);
    const superuser = connect(address(name));
    expect(await readObjects(superuser)).toEqual(fresh);
    expect(await superuser`select * from baseledger.verify()`).toEqual([]);
    await superuser.end();
    await schema.end();
  }
  await admin.end();
}

/** The catalogue without columns: a restore renumbers them, as it leaves out dropped ones. */
async function readObjects(sql: postgres.Sql): Promise<Catalog> {
  const all = Object.entries(await readCatalog(sql));
  return Object.fromEntries(all.filter(([key]) => !key.startsWith("column ")));
}
