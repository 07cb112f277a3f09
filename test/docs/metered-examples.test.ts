// The examples with SDKs of models, against the fake provider and the prices that come with the package.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeProvider, startFakeProvider } from "../support/fake-provider.ts";
import { ROOT } from "../support/markdown.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const run = promisify(execFile);
const REDIRECT = join(ROOT, "test/support/redirect-fetch.ts");

let database: TestDatabase;
let fake: FakeProvider;

const execute = (...args: string[]) =>
  run(process.execPath, args, {
    env: {
      ...process.env,
      DATABASE_URL: database.url,
      FAKE_PROVIDER: fake.url,
      OPENAI_API_KEY: "none",
      ANTHROPIC_API_KEY: "none",
      OPENAI_AGENTS_DISABLE_TRACING: "1",
    },
  });

beforeAll(async () => {
  database = await createDatabase();
  fake = await startFakeProvider();
  await execute(join(ROOT, "src/cli/main.ts"), "prices", "import", "--yes");
});
afterAll(async () => {
  await fake[Symbol.asyncDispose]();
  await database.drop();
});

test.each(["openai", "anthropic", "ai-sdk", "langchain", "openai-agents", "mcp"])(
  "%s prints what it is committed with, also a second time",
  async (name) => {
    const file = join(ROOT, `examples/${name}.ts`);
    const [first, second] = await Promise.all([
      execute("--import", REDIRECT, file),
      execute("--import", REDIRECT, file),
    ]);
    expect([first.stderr, second.stderr]).toEqual(["", ""]);
    expect(second.stdout).toBe(first.stdout);
    await expect(first.stdout).toMatchFileSnapshot(join(ROOT, `examples/${name}.out`));
  },
);
