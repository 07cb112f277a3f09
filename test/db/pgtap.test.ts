import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createDatabase } from "../support/server.ts";
import { runTap } from "../support/tap.ts";

const folder = join(import.meta.dirname, "..", "pgtap");
const files = readdirSync(folder).filter((file) => /^[^_].*\.sql$/.test(file));

for (const file of files) {
  await using database = await createDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const run = await runTap(sql, readFileSync(join(folder, file), "utf8"));
  await sql.end();

  describe(file, () => {
    for (const { id, name, ok, skipped, diagnosis } of run.points) {
      test.skipIf(skipped)(`${id} ${name}`, () => {
        if (!ok) expect.fail(diagnosis);
      });
    }
    test("runs to its end, with as many tests as planned", () => {
      if (run.trouble) expect.fail(run.trouble);
    });
  });
}
