import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERROR_CODES, refusalToError } from "../../src/errors/index.ts";
import { ROOT, readRepositoryFile as read, readBlocks } from "../support/markdown.ts";
import { answerOf, statements, transcript } from "../support/psql.ts";
import { findPython } from "../support/python.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const run = promisify(execFile);

/** The examples in TypeScript. */
const PROGRAMS = ["commit-then-call", "guard", "limits", "stream", "usage", "wrappers"];

/** Node 22 has no `await using`; the examples must not need it. */
const OLDER =
  Number.parseInt(process.versions.node, 10) < 24 ? [] : ["--no-js-explicit-resource-management"];

/** The examples in Python, with the package that each imports. */
const PYTHON = [
  ["with_psycopg3", "psycopg"],
  ["with_psycopg2", "psycopg2"],
] as const;

/** The pages that show a program, without its `../src`. */
const SHOWN = [
  ["README.md", "openai"],
  ["README.md", "guard"],
  ["docs/client.md", "stream"],
  ["docs/client.md", "usage"],
  ["docs/client.md", "limits"],
  ["docs/client.md", "wrappers"],
  ["docs/ai-sdk.md", "ai-sdk"],
  ["docs/ai-sdk.md", "mcp"],
] as const;

/** The fenced blocks of a language in a Markdown file. */
function blocks(markdown: string, language: string): string[] {
  return readBlocks(markdown).flatMap((block) => (block.language === language ? block.text : []));
}

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

describe("examples", () => {
  // In this order: the others go on in the wallet of the first.
  test.each(["session", "session-limits", "session-prices"])(
    "%s.sql prints what it is committed with",
    async (name) => {
      const printed = await transcript(sql, read(`examples/${name}.sql`));
      await expect(printed).toMatchFileSnapshot(join(ROOT, `examples/${name}.out`));
    },
  );

  /** What a program prints; a second run on the same database must print the same. */
  async function twice(program: string, ...args: string[]): Promise<string> {
    const env = { ...process.env, DATABASE_URL: database.url };
    const first = await run(program, args, { env });
    const second = await run(program, args, { env });
    expect([first.stderr, second.stderr]).toEqual(["", ""]);
    expect(second.stdout).toBe(first.stdout);
    return first.stdout;
  }

  test.each(PROGRAMS)("%s prints what it is committed with, also a second time", async (name) => {
    const file = join(ROOT, `examples/${name}.ts`);
    const printed = await twice(process.execPath, ...OLDER, file);
    await expect(printed).toMatchFileSnapshot(join(ROOT, `examples/${name}.out`));
  });

  test.for(PYTHON)("%s prints the same with %s", async ([name, module], { skip }) => {
    const python = await findPython(module);
    if (!python) return skip(`there is no python3 with ${module}`);
    const printed = await twice(python, join(ROOT, `examples/python/${name}.py`));
    await expect(printed).toMatchFileSnapshot(join(ROOT, `examples/python/${name}.out`));
  });

  test("the chain can be checked by hand, as its documentation says, by an auditor", async () => {
    const [query] = blocks(read("docs/hash-chain.md"), "sql");
    const events = await sql.begin(async (tx) => {
      await tx`set local role baseledger_auditor`;
      return tx.unsafe<{ sound: boolean }[]>(query ?? "");
    });
    expect(events.length).toBeGreaterThan(0);
    expect(events.every(({ sound }) => sound)).toBe(true);
  });
});

describe("the pages", () => {
  test.each(["session", "session-limits", "session-prices"])(
    "README.md shows %s.sql as it runs",
    (name) => {
      expect(blocks(read("README.md"), "sql")).toContain(read(`examples/${name}.sql`));
    },
  );

  test.each(SHOWN)("%s shows %s as it runs", (page, name) => {
    const published = read(`examples/${name}.ts`)
      .replace("../src/index.ts", "baseledger")
      .replace("../src/meter/index.ts", "baseledger/meter")
      .replace("../src/meter/ai-sdk/index.ts", "baseledger/ai-sdk");
    expect(blocks(read(page), "ts")).toContain(published);
  });

  test.each(["concepts", "limits", "prices"])(
    "docs/%s.md shows what its SQL prints",
    async (name) => {
      const page = read(`docs/${name}.md`);
      const pairs = [...page.matchAll(/```sql\n(.*?)```\n\n```text\n.*?```/gs)];
      expect(pairs).toHaveLength(blocks(page, "sql").length);
      let printed = page;
      for (const [shown, script = ""] of pairs) {
        const answers: string[] = [];
        for (const one of statements(script)) answers.push((await answerOf(sql, one)).text);
        const output = answers.join("\n");
        printed = printed.replace(
          shown,
          () => `\`\`\`sql\n${script}\`\`\`\n\n\`\`\`text\n${output}\`\`\``,
        );
      }
      await expect(printed).toMatchFileSnapshot(join(ROOT, `docs/${name}.md`));
    },
  );

  test("docs/operations.md says what each role may do", async () => {
    const rights = await sql<{ role: string; name: string }[]>`
      select grantee as role, name from baseledger._expected_rights()
        where kind in ('function', 'view')`;
    const page = read("docs/operations.md");
    const agent = /^\| `baseledger_agent` \|(.*)/m.exec(page)?.[1] ?? "";
    const rows = page.replaceAll("all of that", agent).matchAll(/^\| `(baseledger_\w+)` \|(.*)/gm);
    const shown = [...rows].flatMap(([, role, names = ""]) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => `${role} ${name}`),
    );
    expect(shown.sort()).toEqual(rights.map(({ role, name }) => `${role} ${name}`).sort());
  });

  test("db/ERRORS.md names the class of each code", () => {
    const rows = [...read("db/ERRORS.md").matchAll(/^\| `(LG\w+)` \| `(\w+)` \|/gm)];
    expect(rows.map(([, code]) => code).sort()).toEqual([...ERROR_CODES].sort());
    for (const [, code, name] of rows) {
      expect(refusalToError({ refused: code ?? "", detail: {} }).name).toBe(name);
    }
  });

  test("docs/cli.md names every command", async () => {
    const { stdout } = await run(process.execPath, [join(ROOT, "src/cli/main.ts"), "--help"]);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(commands.length).toBeGreaterThan(20);
    const page = read("docs/cli.md");
    expect(commands.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
