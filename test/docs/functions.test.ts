import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderFunctions } from "../../scripts/functions-page.ts";
import { readBlocks, readRepositoryFile } from "../support/markdown.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let page: string;

beforeAll(async () => {
  database = await createDatabase();
  page = await renderFunctions(database.url);
});

afterAll(() => database.drop());

describe("docs/functions.md", () => {
  test("is what the migrated database gives, with the answers of its examples", () => {
    const stale = page !== readRepositoryFile("docs/functions.md");
    expect(stale, "stale: run npm run generate").toBe(false);
  });

  test("links each error code, of those that there are", () => {
    const codes = new Set(readRepositoryFile("db/ERRORS.md").match(/\bLG[A-Z]{3}\b/g));
    const linked = [...page.matchAll(/\[(LG[A-Z]{3})\]/g)].map(([, code = ""]) => code);
    expect(linked.length).toBeGreaterThan(50);
    expect(linked.filter((code) => !codes.has(code))).toEqual([]);
  });

  test("shows only the refusals that it means to show", () => {
    const answers = readBlocks(page).filter(({ language }) => language === "text");
    const refused = answers.flatMap(({ text }) => /^ERROR: {2}(\w+)/.exec(text)?.[1] ?? []);
    expect(refused).toEqual(["LGFRZ", "LGCLO", "LGRFD", "LGLIM", "LGPRC"]);
  });
});
