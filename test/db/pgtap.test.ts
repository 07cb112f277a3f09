import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createDatabase } from "../support/server.ts";
import { runTap, tapFiles } from "../support/tap.ts";

const files = tapFiles();

test("no two files have the same name", () => {
  expect(new Set(files.map(({ name }) => name)).size).toBe(files.length);
});

for (const { path, text } of files) {
  await using database = await createDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const run = await runTap(sql, text);
  await sql.end();

  describe(path, () => {
    for (const { id, name, ok, skipped, diagnosis } of run.points) {
      test.skipIf(skipped)(`${id} ${name}`, () => {
        if (!ok) expect.fail(diagnosis);
      });
    }
    test("runs to its end, with as many assertions as planned", () => {
      if (run.trouble) expect.fail(run.trouble);
    });
  });
}
