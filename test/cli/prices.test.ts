// `prices` and `quote`, as people and programs with the logins of the roles use them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { setPrice } from "../../src/generated/index.ts";
import { importSeed, readSeed } from "../../src/prices/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, json } = {} as Roles;
let dir: string;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, json } = createRoles(ledger));
  dir = mkdtempSync(join(tmpdir(), "prices-"));
});

afterAll(async () => {
  rmSync(dir, { recursive: true });
  await ledger[Symbol.asyncDispose]();
});

/** Writes a file, and returns its path. */
function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const set = (...words: string[]) => as("operator", "prices", "set", ...words);
const importFile = (path: string, ...words: string[]) =>
  as("operator", "prices", "import", "--file", path, ...words);

describe("prices set", () => {
  test("sets prices, tiers, variants, later prices and aliases", async () => {
    expect(await set("acme/large", "input=1.25", "output=10", "--max-output", "32000")).toEqual({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(
        /^acme\/large from \S+Z: input 1\.25, output 10 USD per million, most output 32,000 \(price \d+\)\n$/,
      ),
    });
    await set("acme/large", "input=2.5", "output=15", "--above", "200000");
    await set("acme/large", "input=0.625", "output=5", "--variant", "batch");
    await set("acme/large", "input=1", "output=8", "--from", "2099-01-01");
    const alias = await set("acme/large-latest", "--alias-of", "acme/large");
    expect(alias.stdout).toMatch(/^acme\/large-latest from \S+: stands for acme\/large \(price/);
    const { stdout } = await as("agent", "prices", "list", "acme/large");
    expect(stdout).toMatch(/ acme\/large +batch .* 0\.625 +5\n/);
    expect(stdout).toMatch(/ acme\/large +20\S+ \S+ +1\.25 +10\n/);
    expect(stdout).toMatch(/ acme\/large +200,000 .* 2\.5 +15\n/);
    expect(stdout).toMatch(/ acme\/large-latest .* is acme\/large\n/);
    expect(stdout).not.toContain("2099");
    const later = await as("agent", "prices", "list", "acme/large", "--at", "2099-06-01");
    expect(later.stdout).toMatch(/ acme\/large +2099-01-01 00:00:00 +1 +8\n/);
  });

  test("says the same twice without another price", async () => {
    const once = await json("operator", "prices", "set", "acme/twice", "input=1");
    const twice = await json("operator", "prices", "set", "acme/twice", "input=1.0");
    expect(once).toMatchObject({ model: "acme/twice", rates: { input: 1_000_000_000 } });
    expect(twice).toEqual(once);
    await set("acme/twice", "input=2");
    const history = await json("auditor", "prices", "list", "acme/twice", "--history");
    expect(history).toHaveLength(2);
  });

  test.each([
    [["acme/bad"], /name the prices, such as input=1\.25/],
    [["acme/bad", "1.25"], /1\.25 is not like input=1\.25/],
    [["acme/bad", "input=1,25"], /input: "1,25" is not an amount/],
    [["acme/bad", "input=0.0000000001"], /input: .*at most 9 decimals/],
    [["acme/bad", "input=1", "input=2"], /input is named twice/],
    [["acme/bad", "variant=batch"], /variant=batch is not like/],
    [["acme/bad", "--alias-of", "acme/x", "input=1"], /an alias has no prices of its own/],
    [["acme/bad", "--alias-of", "acme/x", "--above", "5"], /cannot be used with/],
    [["acme/bad", "input=1", "--from", "soon"], /--from.*is not a time like/],
  ])("%j exits with 2, and sets nothing", async (words, message) => {
    const { code, stdout, stderr } = await set(...words);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await json("operator", "prices", "list", "acme/bad")).toEqual([]);
  });

  test("is for operators; what the ledger refuses exits with 1", async () => {
    const agent = await as("agent", "prices", "set", "acme/mine", "input=0");
    expect(agent).toMatchObject({ code: 1, stdout: "" });
    expect(agent.stderr).toMatch(/permission denied/);
    const past = await set("acme/large", "input=1", "--from", "2020-01-01");
    expect(past).toMatchObject({ code: 1, stdout: "" });
    expect(past.stderr).toMatch(/valid_from.*\(LGARG\)/);
  });
});

describe("quote", () => {
  test("shows what a call costs, for a person and a program", async () => {
    await set("acme/quoted", "input=1.25", "cache_read=0.125", "output=10");
    await set("acme/quoted", "input=0.5", "output=4", "--variant", "batch");
    // 1,200 × 1,250 + 800 × 125 + 500 × 10,000 nano-dollars
    const words = ["quote", "acme/quoted", "input=1200", "cache_read=800", "output=500"];
    const { code, stdout } = await as("agent", ...words);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^0\.0066 USD\n {2}acme\/quoted, price \d+\n$/),
    });
    expect(await json("agent", ...words, "--scale", "6")).toMatchObject({
      amount: "6600",
      currency: "USD",
      model: "acme/quoted",
      scale: 6,
    });
    const batch = ["quote", "acme/quoted", "input=1000000", "--variant", "batch"];
    expect((await as("agent", ...batch)).stdout).toMatch(/^0\.50 USD\n {2}acme\/quoted batch, /);
  });

  test("fails closed, and says why", async () => {
    await set("acme/closed", "input=1");
    for (const words of [
      ["acme/unknown", "input=1"],
      ["acme/closed", "output=1"],
      ["acme/closed", "input=1", "--variant", "flex"],
      ["acme/closed", "input=1", "--at", "2020-01-01"],
    ]) {
      const refused = await as("agent", "quote", ...words);
      expect(refused).toMatchObject({ code: 1, stdout: "" });
      expect(refused.stderr).toMatch(/\(LGPRC\)/);
    }
    const fraction = await as("agent", "quote", "acme/closed", "input=1.5");
    expect(fraction).toMatchObject({ code: 2, stdout: "" });
    expect(fraction.stderr).toMatch(/input: "1\.5" is not a whole number/);
  });
});

describe("prices import --file", () => {
  test("shows the difference, sets it, and finds nothing to do after that", async () => {
    await set("team/same", "input=1", "output=2");
    await set("team/other", "input=1", "output=2");
    const path = file(
      "team.csv",
      "model,variant,above,valid_from,alias_of,input,output\n" +
        "team/same,,,,,1,2\n" +
        "team/other,,,,,1.5,2\n" +
        "team/other,,,2099-01-01,,3,4\n" +
        "team/new,,0,,,0.003625,1\n" +
        "team/new,,200000,,,0.00725,2\n" +
        "team/short,,,,team/new,,\n",
    );
    const shown = await importFile(path, "--dry-run");
    expect(shown.code).toBe(0);
    const lines = shown.stdout.split("\n");
    expect(lines[0]).toBe(
      "file team.csv: 2 added, 1 changed, 1 unchanged, 0 left as an operator set them",
    );
    expect(lines).toContain("  team/other: input 1 → 1.5");
    expect(lines).toContain(
      "  team/other from 2099-01-01T00:00:00Z: input 3, output 4 USD per million",
    );
    expect(lines).toContain(
      "  team/new above 200,000 tokens: input 0.00725, output 2 USD per million, new",
    );
    expect(lines).toContain("  team/short: stands for team/new, new");
    expect(lines.at(-2)).toBe("Nothing was set.");
    expect(await json("agent", "prices", "list", "team/new")).toEqual([]);

    const done = await json("operator", "prices", "import", "--file", path, "--yes");
    expect(done).toMatchObject({ applied: true, unchanged: 1, kept: [] });
    const [tier] = (await json("agent", "prices", "list", "team/new")).slice(1);
    expect(tier).toMatchObject({
      above: "200000",
      rates: { input: 7_250_000, output: 2_000_000_000 },
      source: "file team.csv",
      validFrom: "-infinity",
    });
    const again = await importFile(path, "--yes");
    expect(again).toEqual({
      code: 0,
      stderr: "",
      stdout: "file team.csv: 0 added, 0 changed, 4 unchanged, 0 left as an operator set them\n",
    });
  });

  test("takes JSON, with every digit of its numbers", async () => {
    const path = file(
      "team.json",
      '[{"model": "json/a", "input": 0.000000001, "output": "12.5", "max_output": 4096},' +
        ' {"model": "json/b", "alias_of": "json/a", "valid_from": null}]',
    );
    expect(await importFile(path, "--yes")).toMatchObject({ code: 0, stderr: "" });
    const [a, b] = await json("agent", "prices", "list", "json/");
    expect(a).toMatchObject({ rates: { input: 1, output: 12_500_000_000 }, maxOutput: "4096" });
    expect(b).toMatchObject({ model: "json/b", aliasOf: "json/a", rates: null });
  });

  const head = "model,above,valid_from,alias_of,input\n";
  test.each([
    ["empty.csv", head, /empty\.csv: no prices in it/],
    ["a.csv", "modell,input\nx/y,1\n", /a\.csv, line 1: no column model/],
    ["b.csv", "model,In put\nx/y,1\n", /b\.csv, line 1: "In put" is neither one of model, variant/],
    [
      "c.csv",
      `${head}x/y,,,,1\nx/z,,,,1.2.3\n`,
      /c\.csv, line 3, input: "1\.2\.3" is not an amount/,
    ],
    ["d.csv", `${head}x/y,,,,-1\n`, /d\.csv, line 2, input: "-1" is not from 0/],
    ["e.csv", `${head}y,,,,1\n`, /e\.csv, line 2, model: "y" is not like openai\/gpt-5/],
    ["f.csv", `${head}x/y,many,,,1\n`, /f\.csv, line 2, above: "many" is not a number of tokens/],
    ["g.csv", `${head}x/y,,2026-02-31,,1\n`, /g\.csv, line 2, valid_from: "2026-02-31" is not a/],
    ["h.csv", `${head}x/y,,,,\n`, /h\.csv, line 2: no rate/],
    ["i.csv", `${head}x/y,,,x/z,1\n`, /i\.csv, line 2, input: an alias has only/],
    ["j.csv", `${head}x/y,,,,1\nx/y,,,,2\n`, /j\.csv, line 3: x\/y is there already, .*line 2/],
    [
      "k.csv",
      `${head}x/y,,,,1\nx/y,,2099-01-01,x/z,\n`,
      /k\.csv, line 3: x\/y has rates and is an/,
    ],
    ["l.csv", `${head}x/y,,,,1,5\n`, /l\.csv, line 2: /],
    ["m.json", '[{"model": "x/y", "input": 1, "colour": "red"}]', /m\.json, item 1, colour: "red"/],
    ["n.json", '[{"model": "x/y", "input": true}]', /n\.json, item 1, input: not a text or number/],
    ["o.json", "[1]", /o\.json, item 1: not an object/],
    ["p.json", "[{", /p\.json: /],
    ["q.csv", `${head}x/y,,,x/nowhere,\n`, /q\.csv, line 2, alias_of: /],
  ])("%s is refused, and says where", async (name, text, message) => {
    const { code, stdout, stderr } = await importFile(file(name, text), "--yes", "--json");
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toHaveProperty("error");
    expect(await json("operator", "prices", "list", "x/")).toEqual([]);
  });

  test("of a file that is not there is a mistake of usage", async () => {
    const { code, stderr } = await importFile(join(dir, "none.csv"), "--yes");
    expect(code).toBe(2);
    expect(stderr).toMatch(/none\.csv: ENOENT/);
  });

  test("never makes an alias of a model", async () => {
    await set("kind/model", "input=1");
    const path = file("kind.csv", "model,alias_of,input\nkind/other,,1\nkind/model,kind/other,\n");
    const { code, stderr } = await importFile(path, "--yes");
    expect(code).toBe(1);
    expect(stderr).toMatch(/kind\.csv, line 3: kind\/model cannot be set/);
    expect(await json("operator", "prices", "list", "kind/other")).toEqual([]);
  });

  test("asks nobody where there is no terminal", async () => {
    const path = file("ask.csv", "model,input\nask/a,1\n");
    const { code, stdout, stderr } = await importFile(path);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/give --yes to set the prices, or --dry-run/);
    const agent = await as("agent", "prices", "import", "--file", path, "--yes");
    expect(agent.code).toBe(1);
    expect(agent.stderr).toMatch(/permission denied/);
    expect(await json("agent", "prices", "list", "ask/")).toEqual([]);
  });
});

describe("the seed", () => {
  test("is imported beside what an operator has set", async () => {
    const price = { model: "openai/gpt-5", rates: { input: 1_000_000_000, output: 8_000_000_000 } };
    await setPrice(ledger.operator, price);
    const first = await as("operator", "prices", "import", "--yes");
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(
      /^seed \d{4}-\d\d-\d\d: [\d,]+ added, 0 changed, 0 unchanged, 1 left as an operator set them\n/,
    );
    expect(first.stdout).toContain("\n  openai/gpt-5: left as an operator set it\n");
    const second = await as("operator", "prices", "import", "--dry-run");
    expect(second.stdout).toMatch(/: 0 added, 0 changed, [\d,]+ unchanged, 1 left as an operator/);
    const { stdout } = await as("agent", "quote", "openai/gpt-5-2025-08-07", "input=1000000");
    expect(stdout).toMatch(/^1\.00 USD\n {2}openai\/gpt-5, /);
  });

  test("is exported as it was imported, but for what an operator has set", async () => {
    await importSeed(ledger.operator);
    const { code, stdout } = await as("worker", "prices", "export", "deepseek/");
    expect(code).toBe(0);
    const { rows, source } = await readSeed();
    const path = join(import.meta.dirname, "../../db/prices", `${source.replace("seed ", "")}.csv`);
    const wanted = readFileSync(path, "utf8").match(/^deepseek\/.*$/gm) ?? [];
    const cells = (line: string) => line.split(",").filter((cell) => cell !== "");
    const got = stdout.trim().split("\n").slice(1);
    // The earlier of two dated prices no longer counts.
    const present = wanted.filter((line) => {
      const [name] = line.split(",");
      const times = rows.filter(({ model }) => model === name).map(({ validFrom }) => validFrom);
      return times.length === 1 || line.includes("2026-08-17");
    });
    expect(got.map(cells)).toEqual(present.map(cells));
    const copy = file("copy.csv", (await as("agent", "prices", "export")).stdout);
    const again = await importFile(copy, "--dry-run");
    expect(again.stdout).toMatch(/^file copy\.csv: 0 added, 0 changed, /);
    const listed = await as("agent", "prices", "list", "openai/", "--csv", "--limit", "3");
    expect(listed.stdout.trim().split("\n")).toHaveLength(4);
    const flat = await json("agent", "prices", "export", "deepseek/deepseek-v4-pro");
    expect(flat).toEqual([expect.objectContaining({ cache_read: "0.044", output: "3.96" })]);
  });

  test("lists a page for a person", async () => {
    await importSeed(ledger.operator);
    const { stdout } = await as("auditor", "prices", "list", "--limit", "2");
    expect(stdout).toMatch(/There are [\d,]+ more: give a prefix, or --limit\n$/);
    expect((await as("auditor", "prices", "list", "nobody/")).stdout).toBe("no prices\n");
  });
});

test("no name reaches the terminal or a spreadsheet as more than its characters", async () => {
  await setPrice(ledger.operator, { model: "=evil/\u001b[2J", rates: { input: 1 } });
  const { stdout } = await as("agent", "prices", "list", "=evil");
  expect(stdout).toContain(String.raw`=evil/\x1b[2J`);
  const csv = await as("agent", "prices", "export", "=evil");
  expect(csv.stdout).toMatch(/\n'=evil\//);
});
