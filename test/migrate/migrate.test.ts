import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { installSql, migrate, packaged } from "../../src/migrate/index.ts";
import { readCatalog } from "../support/catalog.ts";
import { commit, fileOf, graphileMigrate, release as releaseInto } from "../support/release.ts";
import { createDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

const one = "create table baseledger.one (id integer);";
const two = "create table baseledger.two (id integer);";

let directory: string;
let database: Awaited<ReturnType<typeof createDatabase>>;
let sql: postgres.Sql;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), "migrate-test-"));
  database = await createDatabase("empty");
  sql = connect(database.url);
});

afterEach(async () => {
  await sql.end();
  await database.drop();
  fs.rmSync(directory, { recursive: true });
});

function connect(url: string, options: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  return postgres(url, { max: 1, onnotice: () => undefined, ...options });
}

/** A release of this package with these migrations. */
function release(...bodies: string[]): { directory: string } {
  return releaseInto(directory, ...bodies);
}

async function tables(on: postgres.Sql = sql): Promise<string[]> {
  const rows = await on`
    select tablename, tableowner from pg_tables where schemaname = 'baseledger' order by 1`;
  expect(rows.filter(({ tableowner }) => tableowner !== "baseledger_owner")).toEqual([]);
  return rows.map(({ tablename }) => tablename);
}

describe("migrate", () => {
  test("applies each migration once, in order, for the owner role", async () => {
    const first = release(one);
    expect(await migrate(database.url, first)).toEqual(["000001-some-step"]);
    expect(await migrate(database.url, first)).toEqual([]);
    const second = release(one, two, "insert into baseledger.two values (2);");
    expect(await migrate(database.url, second)).toEqual(["000002-some-step", "000003-some-step"]);
    expect(await migrate(database.url, second)).toEqual([]);
    expect(await tables()).toEqual(["migrations", "one", "two"]);
    expect(await sql`select id from baseledger.two`).toEqual([{ id: 2 }]);
    const state = await sql`select id, name, hash from baseledger.migrations order by id`;
    const hashes = [1, 2, 3].map((id) =>
      /Hash: (.*)/.exec(fs.readFileSync(fileOf(join(directory, "migrations"), id), "utf8")),
    );
    expect(state).toEqual(
      hashes.map((hash, index) => ({
        id: index + 1,
        name: `00000${index + 1}-some-step`,
        hash: hash?.[1],
      })),
    );
  });

  test("installs what is in this package", async () => {
    const names = await migrate(database.url);
    const files = fs.readdirSync(join(packaged, "migrations", "committed"));
    expect(names).toEqual(files.sort().map((file) => file.replace(/\.sql$/, "")));
    expect(await tables()).toEqual(expect.arrayContaining(["events", "reservations", "wallets"]));
    expect(await migrate(database.url)).toEqual([]);
  });

  test("succeeds for three at once, each migration applied by one of them", async () => {
    const options = release(`select pg_sleep(0.2); ${one}`, two);
    const all = await Promise.all([0, 1, 2].map(() => migrate(database.url, options)));
    expect(all.flat().sort()).toEqual(["000001-some-step", "000002-some-step"]);
    expect(await tables()).toEqual(["migrations", "one", "two"]);
  });

  test("waits for another also where lock_timeout and statement_timeout are short", async () => {
    const options = release(`select pg_sleep(0.5); ${one}`);
    await sql.unsafe(`alter database ${database.name} set lock_timeout = '50ms'`);
    await sql.unsafe(`alter database ${database.name} set statement_timeout = '100ms'`);
    const all = await Promise.all([0, 1, 2].map(() => migrate(database.url, options)));
    expect(all.flat()).toEqual(["000001-some-step"]);
  });

  test("keeps the host's lock_timeout while it migrates", async () => {
    await sql.unsafe(`alter database ${database.name} set lock_timeout = '50ms'`);
    const options = release(
      "select set_config('test.lock_timeout', current_setting('lock_timeout'), false)",
    );
    const session = connect(database.url);
    await migrate(session, options);
    const [row] = await session`select current_setting('test.lock_timeout') as it`;
    expect(row).toEqual({ it: "50ms" });
    await session.end();
  });

  test("uses a connection of the caller, and leaves it as it was", async () => {
    const before = await sql`select pg_backend_pid(), current_user, current_setting('search_path')`;
    expect(await migrate(sql, release(one))).toEqual(["000001-some-step"]);
    const after = await sql`select pg_backend_pid(), current_user, current_setting('search_path')`;
    expect(after).toEqual(before);
    const locks = sql`
      select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`;
    expect(await locks).toEqual([]);
  });

  test("undoes a migration that fails, keeps the ones before, and continues later", async () => {
    const broken = release(one, `${two} select 1/0;`);
    const failure = migrate(database.url, broken);
    await expect(failure).rejects.toThrow("000002-some-step failed: division by zero");
    await expect(failure).rejects.toMatchObject({ cause: { code: "22012" } });
    expect(await tables()).toEqual(["migrations", "one"]);
    expect(await migrate(database.url, release(one, two))).toEqual(["000002-some-step"]);
  });

  test.each(["migrate", "installSql"])(
    "%s resolves bare names in pg_catalog, whatever the host's search path has first",
    async (how) => {
      await sql.unsafe(`
      create function public.now() returns text language sql as $$ select 'host' $$;
      alter database ${database.name} set search_path = public, pg_catalog;
    `);
      const options = release("create table baseledger.clock as select now() as at;");
      const session = connect(database.url);
      if (how === "migrate") await migrate(session, options);
      else await session.unsafe(await installSql(options));
      const [row] = await session`select pg_typeof(at)::text as type from baseledger.clock`;
      expect(row).toEqual({ type: "timestamp with time zone" });
      await session.end();
    },
  );
});

describe("migrate refuses", () => {
  test("a committed file that was changed", async () => {
    const options = release(one, two);
    const file = fileOf(join(directory, "migrations"), 2);
    fs.appendFileSync(file, "drop table baseledger.one;\n");
    await expect(migrate(database.url, options)).rejects.toThrow(
      "000002-some-step.sql was changed",
    );
    expect(await tables()).toEqual([]);
  });

  test("a folder from which a committed file is missing, and an empty one", async () => {
    const options = release(one, two, "select 3;");
    fs.rmSync(fileOf(join(directory, "migrations"), 2));
    await expect(migrate(database.url, options)).rejects.toThrow(
      "000003-some-step.sql does not follow on 000001-some-step",
    );
    await expect(migrate(database.url, release())).rejects.toThrow("no migrations");
    expect(await tables()).toEqual([]);
  });

  test("a database to which another text was applied", async () => {
    await migrate(database.url, release(one));
    const rewritten = release(`${one} -- and more`, two);
    await expect(migrate(database.url, rewritten)).rejects.toThrow(
      "000001-some-step was applied to this database with another text",
    );
    expect(await tables()).toEqual(["migrations", "one"]);
  });

  test("a database that is newer than the package", async () => {
    await migrate(database.url, release(one, two));
    await expect(migrate(database.url, release(one))).rejects.toThrow(
      "newer than this package: it has migration 000002-some-step",
    );
  });

  test("a migration without a transaction", async () => {
    const options = release("--! no-transaction\nvacuum;");
    await expect(migrate(database.url, options)).rejects.toThrow("asks for no transaction");
  });

  test("a schema baseledger that belongs to somebody else", async () => {
    await sql`create schema baseledger`;
    await expect(migrate(database.url, release(one))).rejects.toMatchObject({ code: "42P06" });
    expect(await tables()).toEqual([]);
  });
});

describe("next to others", () => {
  test("changes nothing of a host application, and is not misled by it", async () => {
    await sql.unsafe(`
      create schema ledger;
      create table ledger.wallets (id text);
      create table public.wallets (id integer);
      create table public.events (id integer);
      create table public.migrations (id integer);
      create type public.receipt as enum ('paper');
      create domain public.text as integer;
      create function public.jsonb_build_object(text, text) returns integer
        language sql as 'select 1';
      create schema postgres;
      alter database ${database.name} set search_path = public, ledger;
      alter database ${database.name} set default_transaction_isolation = 'serializable';
      alter database ${database.name} set default_transaction_read_only = on;
      alter database ${database.name} set check_function_bodies = off;
    `);
    const others = () => sql`
      select n.nspname, c.relname, c.relowner, c.relacl::text from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname !~ '^(baseledger$|pg_)' order by 1, 2`;
    const before = await others();
    const all = await Promise.all([0, 1].map(() => migrate(database.url)));
    expect(all.flat()).not.toEqual([]);
    expect(await others()).toEqual(before);
    expect(
      await sql`select count(*)::int from pg_namespace where nspname = 'graphile_migrate'`,
    ).toEqual([{ count: 0 }]);

    await using plain = await createDatabase("empty");
    await migrate(plain.url);
    const there = connect(plain.url);
    await sql`set search_path = pg_catalog`;
    await there`set search_path = pg_catalog`;
    expect(await readCatalog(sql)).toEqual(await readCatalog(there));
    await there.end();
  });

  test("works in a database that graphile-migrate manages for another schema", async () => {
    const theirs = join(directory, "theirs");
    const config = join(directory, ".gmrc");
    fs.writeFileSync(config, JSON.stringify({ migrationsFolder: theirs }));
    const migrateTheirs = () =>
      promisify(execFile)(
        process.execPath,
        [join(graphileMigrate, "cli.js"), "migrate", "--config", config],
        {
          env: { ...process.env, DATABASE_URL: database.url },
        },
      );
    commit(theirs, "create table public.theirs (id integer);");
    await migrateTheirs();
    expect(await migrate(database.url, release(one))).toEqual(["000001-some-step"]);
    commit(theirs, "create table public.theirs (id integer);", "create table public.more ();");
    await migrateTheirs();
    expect(await migrate(database.url, release(one, two))).toEqual(["000002-some-step"]);
    expect(await tables()).toEqual(["migrations", "one", "two"]);
    expect(
      await sql`select tablename from pg_tables where schemaname = 'public' order by 1`,
    ).toEqual([{ tablename: "more" }, { tablename: "theirs" }]);
    expect(await sql`select count(*)::int from graphile_migrate.migrations`).toEqual([
      { count: 2 },
    ]);
  });
});

describe("on a new server", () => {
  test("installs into four databases at once, though they share the roles", async () => {
    await using server = await startPostgres(otherPackage());
    const admin = connect(server.url);
    const urls = [1, 2, 3, 4].map((id) => new URL(`/db${id}`, server.url));
    for (const { pathname } of urls) await admin.unsafe(`create database ${pathname.slice(1)}`);
    // no superuser: each is granted the owner role, and only one at a time can change a role
    await admin`create role installer login createrole password 'secret'`;
    for (const url of urls) {
      await admin.unsafe(`grant create on database ${url.pathname.slice(1)} to installer`);
      url.username = "installer";
      url.password = "secret";
    }
    const all = await Promise.all(urls.map(({ href }) => migrate(href)));
    expect(new Set(all.map(String)).size).toBe(1);
    expect(all[0]).not.toEqual([]);
    await admin.end();
  });

  test("tries again when another database has just changed a role", async () => {
    await using server = await startPostgres(otherPackage());
    const admin = connect(server.url);
    await admin`create role installer login createrole password 'secret'`;
    await admin`grant create on database postgres to installer`;
    const url = server.url.replace(/\/\/[^@]*@/, "//installer:secret@");
    const other = connect(url);
    await other`create role baseledger_owner nologin`;
    let waiting: Promise<readonly string[]> | undefined;
    await other.begin(async (tx) => {
      await tx`grant baseledger_owner to installer`;
      waiting = migrate(url, release(one));
      await until("migrate waits for the other", async () => {
        const [row] = await admin`
          select exists (select from pg_stat_activity where wait_event_type = 'Lock') as waits`;
        return row?.waits;
      });
    });
    expect(await waiting).toEqual(["000001-some-step"]);
    await other.end();
    await admin.end();
  });

  test.each(["migrate", "installSql"])("%s needs no superuser", async (how) => {
    await using server = await startPostgres(otherPackage());
    const admin = connect(server.url);
    await admin`create role installer login createrole password 'secret'`;
    await admin`create role outsider login password 'secret'`;
    await admin`grant create on database postgres to installer`;
    const as = (name: string) => server.url.replace(/\/\/[^@]*@/, `//${name}:secret@`);
    const installer = connect(as("installer"));

    if (how === "migrate") await migrate(installer);
    else await installer.unsafe(await installSql());
    expect(await migrate(installer)).toEqual([]);
    const owners = await admin`
      select distinct proowner::regrole::text as owner from pg_proc
      where pronamespace = 'baseledger'::regnamespace`;
    expect(owners).toEqual([{ owner: "baseledger_owner" }]);
    expect(await installer`select current_user`).toEqual([{ current_user: "installer" }]);

    // a role that may act as the owner can see that nothing is missing; others get an error
    await expect(migrate(as("outsider"))).rejects.toThrow("permission denied");
    await admin`grant baseledger_owner to outsider`;
    expect(await migrate(as("outsider"))).toEqual([]);
    await installer.end();
    await admin.end();
  });
});

describe("installSql", () => {
  test("builds what migrate builds, and migrate continues from there", async () => {
    await sql.unsafe(await installSql());
    await using other = await createDatabase("empty");
    await migrate(other.url);
    const there = connect(other.url);
    expect(await readCatalog(sql)).toEqual(await readCatalog(there));
    await there.end();
    expect(await migrate(database.url)).toEqual([]);

    const first = release(one);
    await using third = await createDatabase("empty");
    const session = connect(third.url);
    await session.unsafe(await installSql(first));
    expect(await migrate(session, release(one, two))).toEqual(["000002-some-step"]);
    expect(await tables(session)).toEqual(["migrations", "one", "two"]);
    await session.end();
  });

  test("does nothing the second time, and applies what is missing later", async () => {
    const first = await installSql(release(one));
    await sql.unsafe(first);
    const before = await sql`select * from baseledger.migrations`;
    await sql.unsafe(first);
    expect(await sql`select * from baseledger.migrations`).toEqual(before);
    await sql.unsafe(await installSql(release(one, two)));
    expect(await tables()).toEqual(["migrations", "one", "two"]);
  });

  test("is part of the caller's transaction, and keeps its role and its search path", async () => {
    const text = await installSql(release(one));
    const state = "select current_user, current_setting('search_path') as path";
    const outside = await sql.unsafe(state);
    const undone = sql.begin(async (tx) => {
      await tx.unsafe(text);
      expect(await tx.unsafe(state)).toEqual(outside);
      expect(await tables(tx as unknown as postgres.Sql)).toEqual(["migrations", "one"]);
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(await tables()).toEqual([]);
  });

  test("is one statement, which a driver may also prepare", async () => {
    await sql.unsafe(await installSql(release(one)), [], { prepare: true });
    expect(await tables()).toEqual(["migrations", "one"]);
  });

  test("quotes migrations that contain its own quotes", async () => {
    const text =
      "select $baseledger_1$ it's $baseledger$ $baseledger_1$ || '$baseledger_1_14$' as quoted";
    await sql.unsafe(await installSql(release(`create table baseledger.one as ${text};`)));
    expect(await sql`select quoted from baseledger.one`).toEqual([
      { quoted: " it's $baseledger$ $baseledger_1_14$" },
    ]);
  });

  test.each([
    ["was given another text", [`${one} -- other`, two], "with another text"],
    ["is newer", [one, two, "select 3;"], "newer"],
  ])("fails, and changes nothing, when the database %s", async (_, bodies, message) => {
    await migrate(database.url, release(...bodies));
    const before = await tables();
    await expect(sql.unsafe(await installSql(release(one, two)))).rejects.toThrow(message);
    expect(await tables()).toEqual(before);
    expect(await sql`select count(*)::int from baseledger.migrations`).toEqual([
      { count: bodies.length },
    ]);
  });
});

function otherPackage(): { package?: string } {
  const other = process.env.TEST_POSTGRES;
  return other ? { package: other } : {};
}
