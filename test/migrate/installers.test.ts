// Who may install: users without superuser's rights, on a server whose roles somebody else has made.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import { installSql, migrate, RightsError } from "../../src/migrate/index.ts";
import { baseledger } from "../support/cli.ts";

let server: Server;
let admin: postgres.Sql;
let version: number;

beforeAll(async () => {
  const other = process.env.TEST_POSTGRES;
  server = await startPostgres(other ? { package: other } : {});
  admin = connect(server.url);
  const [row] = await admin<{ version: number }[]>`
    select current_setting('server_version_num')::int / 10000 as version`;
  version = row?.version ?? 0;
});

afterAll(async () => {
  await admin.end();
  await server.stop();
});

beforeEach(async () => {
  for (const name of ["first", "second", "plain"]) {
    await admin.unsafe(`create role ${name} login password 'secret'`);
  }
  await admin`alter role first createrole`;
  await admin`alter role second createrole`;
  await admin`grant create on database postgres to first, second, plain`;
});

afterEach(async () => {
  const databases = await admin<{ name: string }[]>`
    select datname as name from pg_database where not datistemplate and datname <> 'postgres'`;
  for (const { name } of databases) await admin.unsafe(`drop database ${name} with (force)`);
  await admin`drop schema if exists baseledger cascade`;
  // Memberships that one of the others has granted go with the roles of the ledger.
  const roles = await admin<{ name: string }[]>`
    select rolname as name from pg_roles where oid >= 16384 order by rolname !~ '^baseledger_'`;
  for (const { name } of roles) await admin.unsafe(`drop owned by ${name}; drop role ${name}`);
});

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, onnotice: () => undefined });
}

function as(name: string, database = "postgres"): string {
  const url = new URL(`/${database}`, server.url);
  url.username = name;
  url.password = "secret";
  return url.href;
}

const HOWS = ["migrate", "installSql"] as const;

/** Installs as a user, and returns the error. */
async function install(how: (typeof HOWS)[number], url: string): Promise<postgres.PostgresError> {
  const sql = connect(url);
  try {
    if (how === "migrate") await migrate(sql);
    else await sql.unsafe(await installSql());
    return new Error("nothing went wrong") as postgres.PostgresError;
  } catch (error) {
    return error as postgres.PostgresError;
  } finally {
    await sql.end();
  }
}

async function ledgerRoles(): Promise<number> {
  return (await admin`select from pg_roles where rolname ~ '^baseledger_'`).length;
}

/** Executes the statement that the hint of an error names. */
async function follow(hint: string | undefined, by = admin): Promise<void> {
  const statement = /run: (.*?);?$/.exec(hint ?? "")?.[1];
  await by.unsafe(statement ?? "nothing was said");
}

describe.each(HOWS)("%s by a second user who may create roles", (how) => {
  test("installs into a database of its own, after the one grant that it names", async ({
    skip,
  }) => {
    skip(version < 16, "before 16, CREATEROLE may grant every role");
    await migrate(as("first"));
    await admin`create database other`;
    await admin`grant create on database other to second`;
    const { code, hint } = await install(how, as("second", "other"));
    expect(code).toBe("42501");
    expect(hint).toBe("Let a superuser, or first, run: grant baseledger_owner to second;");
    const there = connect(new URL("/other", server.url).href);
    expect(await there`select to_regnamespace('baseledger')::text as it`).toEqual([{ it: null }]);
    await there.end();

    const first = connect(as("first"));
    await follow(hint, first);
    await first.end();
    expect((await install(how, as("second", "other"))).message).toBe("nothing went wrong");
    const { code: exit } = await baseledger([
      "verify",
      "--url",
      new URL("/other", server.url).href,
    ]);
    expect(exit).toBe(0);
  });

  test("continues in a database where the first has installed", async ({ skip }) => {
    skip(version < 16, "before 16, CREATEROLE may grant every role");
    await migrate(as("first"));
    const { code, hint } = await install(how, as("second"));
    expect(code).toBe("42501");
    await follow(hint);
    expect((await install(how, as("second"))).message).toBe("nothing went wrong");
  });
});

describe.each(HOWS)("%s by a user who may not create roles", (how) => {
  test("fails before anything is made, and names the right", async () => {
    const { code, hint } = await install(how, as("plain"));
    expect(code).toBe("42501");
    expect(hint).toContain("alter role plain createrole");
    expect(await ledgerRoles()).toBe(0);
  });

  test("installs where the roles are there, and it was granted the owner", async () => {
    await migrate(as("first"));
    await admin`drop schema baseledger cascade`;
    const { hint } = await install(how, as("plain"));
    await follow(hint);
    expect((await install(how, as("plain"))).message).toBe("nothing went wrong");
    expect((await install(how, as("plain"))).message).toBe("nothing went wrong");
  });

  test("gets a hint when it may not create a schema", async () => {
    await migrate(as("first"));
    await admin`drop schema baseledger cascade`;
    await admin`grant baseledger_owner to plain`;
    await admin`revoke create on database postgres from plain`;
    const { code, hint } = await install(how, as("plain"));
    expect(code).toBe("42501");
    await follow(hint);
    expect((await install(how, as("plain"))).message).toBe("nothing went wrong");
  });
});

test("the command names the grant that is missing", async ({ skip }) => {
  skip(version < 16, "before 16, CREATEROLE may grant every role");
  await migrate(as("first"));
  const { code, stderr } = await baseledger(["migrate", "--url", as("second")]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^baseledger: permission denied: second may not act as baseledger_owner.*/,
  );
  expect(stderr).toContain("run: grant baseledger_owner to second;\n");
});

describe("a user who may act as the owner, but is no superuser,", () => {
  test("repairs rights of objects, and names those that it may not repair", async () => {
    await migrate(server.url);
    await admin`grant baseledger_owner to plain`;
    await admin`grant execute on function baseledger.credit to public`;
    await admin`alter role baseledger_owner login`;
    const failed = migrate(as("plain"));
    await expect(failed).rejects.toBeInstanceOf(RightsError);
    await expect(failed).rejects.toThrow(
      "role baseledger_owner: LOGIN, must be NOLOGIN. " +
        "Let a superuser run: alter role baseledger_owner nologin;",
    );
    const [row] = await admin<{ open: boolean }[]>`
      select has_function_privilege(
        'public', 'baseledger.credit(text,bigint,text,jsonb)', 'execute'
      ) as open`;
    expect(row).toEqual({ open: false });
    const { code, stderr } = await baseledger(["migrate", "--url", as("plain")]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("alter role baseledger_owner")]);
    expect(await migrate(server.url)).toEqual([]);
    expect(await migrate(as("plain"))).toEqual([]);
  });

  test("gets the name of the role whose objects it may not take over", async () => {
    await migrate(server.url);
    await admin`grant baseledger_owner to plain`;
    await admin`reassign owned by baseledger_owner to postgres`;
    for (const how of HOWS) {
      const { code, message, hint } = await install(how, as("plain"));
      expect(code).toBe("42501");
      expect(`${message} ${hint}`).toMatch(
        /permission denied: .* belongs to postgres here .* as postgres\./,
      );
    }
    expect(await migrate(server.url)).toEqual([]);
    expect(await migrate(as("plain"))).toEqual([]);
  });
});

describe("two ledgers on one server", () => {
  test("share the roles, and are kept apart by who may connect", async () => {
    for (const team of ["a", "b"]) {
      await admin.unsafe(`create database ledger_${team}`);
      await migrate(new URL(`/ledger_${team}`, server.url).href);
      await admin.unsafe(`create role team_${team}_operator login password 'secret'`);
      await admin.unsafe(`grant baseledger_operator to team_${team}_operator`);
    }
    const open = async (team: string, database: string) => {
      const sql = connect(as(`team_${team}_operator`, `ledger_${database}`));
      try {
        await sql`select baseledger.open_wallet(${`of ${team}`})`;
        return "done";
      } catch (error) {
        return (error as postgres.PostgresError).code;
      } finally {
        await sql.end();
      }
    };
    expect(await open("b", "a")).toBe("done");
    await admin.unsafe(documented("Two ledgers on one server"));
    expect([await open("a", "a"), await open("b", "b")]).toEqual(["done", "done"]);
    expect([await open("a", "b"), await open("b", "a")]).toEqual(["42501", "42501"]);
  });
});

/** The SQL in the documentation below a heading. */
function documented(heading: string): string {
  const text = readFileSync(join(import.meta.dirname, "../../docs/upgrading.md"), "utf8");
  return text.split(`## ${heading}\n`)[1]?.match(/```sql\n(.*?)```/s)?.[1] ?? "nothing was said";
}
