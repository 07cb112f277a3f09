import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { generateTrace } from "../../src/trace/generate-trace.ts";
import { createRandom } from "../../src/trace/random.ts";
import { type LoggedCall, readTrace, TraceError } from "../../src/trace/read-trace.ts";
import { outputTokens, usageOf, withOutput } from "../../src/trace/traced-call.ts";

const dir = mkdtempSync(join(tmpdir(), "trace-"));
afterAll(() => rmSync(dir, { recursive: true }));

const HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens";
const TIME = "2023-11-16 18:15:46.6805900";
const ROW = `${TIME},374,44`;

function file(text: string): string {
  const path = join(dir, "trace.csv");
  writeFileSync(path, text);
  return path;
}

async function read(text: string): Promise<LoggedCall[]> {
  return readAll(file(text));
}

async function readAll(path: string): Promise<LoggedCall[]> {
  const calls: LoggedCall[] = [];
  for await (const call of readTrace(path)) {
    calls.push(call);
  }
  return calls;
}

describe("a trace", () => {
  const call = {
    at: Date.UTC(2023, 10, 16, 18, 15, 46) + 680.59,
    usage: { input: 374, output: 44 },
  };

  test.each([
    ["plain", `${HEADER}\n${ROW}\n`],
    ["without an end of line", `${HEADER}\n${ROW}`],
    ["with Windows line endings", `${HEADER}\r\n${ROW}\r\n`],
    ["with a byte order mark", `\uFEFF${HEADER}\n${ROW}\n`],
    ["with blank lines", `\n${HEADER}\n\n${ROW}\n\n\n`],
    ["with blanks around values", `${HEADER}\n ${ROW.replaceAll(",", " , ")}\n`],
    ["with quotes", `${HEADER}\n"${ROW.replaceAll(",", '","')}"\n`],
    [
      "with its columns in another order, and others",
      "User,GeneratedTokens,TIMESTAMP,ContextTokens\nx,44,2023-11-16 18:15:46.6805900,374\n",
    ],
    ["with usage in place of tokens", `TIMESTAMP,output,input\n${TIME},44,374\n`],
    ["with an empty model", `${HEADER},model,variant\n${ROW},,\n`],
    ["with a zone", `${HEADER}\n2023-11-16T19:15:46.68059+01:00,374,44\n`],
  ])("%s is read", async (_what, text) => {
    const [found, ...more] = await read(text);
    expect(more).toEqual([]);
    expect(found?.at).toBeCloseTo(call.at, 3);
    expect({ ...found, at: call.at }).toEqual({ ...call, line: expect.any(Number) });
  });

  test("may have usage beside its tokens, or in place of them, and empty cells", async () => {
    const log = [
      "TIMESTAMP,model,variant,ContextTokens,cache_read,output,web_searches",
      `${TIME},acme/large,batch,10,20,30,0`,
      "",
      `${TIME},,,10,,,`,
    ];
    const [first, second] = await read(log.join("\n"));
    const counts = { input: 10, cache_read: 20, output: 30, web_searches: 0 };
    expect(first).toMatchObject({
      line: 2,
      usage: { model: "acme/large", variant: "batch", ...counts },
    });
    expect(second).toEqual({ at: first?.at, line: 4, usage: { input: 10 } });
    const embeddings = await read(`TIMESTAMP,input\n${TIME},7\n`);
    expect(embeddings).toMatchObject([{ usage: { input: 7 } }]);
  });

  test("is read as a stream: what comes first is there before what is wrong later", async () => {
    const calls = readTrace(file(`${HEADER}\n${`${ROW}\n`.repeat(100_000)}broken\n`));
    for (let index = 0; index < 10; index += 1) {
      expect((await calls.next()).done).toBe(false);
    }
    await calls.return(undefined);
  });

  test.each([
    ["an empty file", "", /no calls/],
    ["a header alone", `${HEADER}\n`, /no calls/],
    ["another header", `a,b,c\n${ROW}\n`, /line 1: expected the header TIMESTAMP,/],
    ["a missing column", `TIMESTAMP,ContextTokens\nx,1\n`, /GeneratedTokens is missing/],
    ["no time but usage", `input,output\n1,2\n`, /but TIMESTAMP is missing/],
    ["no usage but a model", `TIMESTAMP,model\nx,y/z\n`, /ContextTokens and GeneratedTokens are/],
    ["a kind twice", `${HEADER},input\n${ROW},1\n`, /columns ContextTokens and input are the same/],
    ["a column twice", "TIMESTAMP,input,input\n", /columns input and input are the same/],
    ["half a search", `${HEADER},searches\n${ROW},.5\n`, /line 2: searches "\.5" is not a count/],
    ["a text in lower case", `${HEADER},user\n${ROW},ann\n`, /line 2: user "ann" is not a count/],
    ["a model without provider", `${HEADER},model\n${ROW},gpt-5\n`, /line 2: model "gpt-5" is/],
    ["a row without usage", `TIMESTAMP,input\n${TIME},\n`, /line 2: no usage in this row/],
    ["too few values", `${HEADER}\n${ROW}\n2023-11-16 18:15:46,374\n`, /line 3: /],
    ["too many values", `${HEADER}\n${ROW},1\n`, /line 2: /],
    ["an open quote", `${HEADER}\n"${ROW}\n`, /line \d: .*[Qq]uote/],
    ["no time", `${HEADER}\n\n${ROW}\nyesterday,1,2\n`, /line 4: TIMESTAMP "yesterday"/],
    ["a day that is none", `${HEADER}\n2023-13-45 00:00:00,1,2\n`, /line 2: TIMESTAMP/],
    ["negative tokens", `${HEADER}\n2023-11-16 00:00:00,-1,2\n`, /line 2: ContextTokens "-1"/],
    ["half a token", `${HEADER}\n2023-11-16 00:00:00,1,2.5\n`, /line 2: GeneratedTokens "2.5"/],
    ["no number", `${HEADER}\n2023-11-16 00:00:00,,2\n`, /line 2: ContextTokens ""/],
    ["absurd numbers", `${HEADER}\n2023-11-16 00:00:00,9e9,2\n`, /line 2: ContextTokens/],
    ["more than any model", `${HEADER}\n2023-11-16 00:00:00,9999999999,2\n`, /ContextTokens/],
  ])("with %s is refused, and the line named", async (_what, text, message) => {
    const error = await read(text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TraceError);
    expect((error as Error).message).toMatch(message);
  });

  test("that does not exist is refused by name", async () => {
    const path = join(dir, "nowhere.csv");
    await expect(readAll(path)).rejects.toThrow(/nowhere\.csv: ENOENT/);
  });

  test("that is a folder is refused", async () => {
    await expect(readAll(dir)).rejects.toThrow(TraceError);
  });
});

describe("a generated trace", () => {
  const calls = [...generateTrace(createRandom(7), 20_000)];
  const gaps = calls.slice(1).map(({ at }, index) => at - (calls[index]?.at ?? 0));

  test("is the same for the same seed, and another for another", () => {
    expect([...generateTrace(createRandom(7), 100)]).toEqual(calls.slice(0, 100));
    expect([...generateTrace(createRandom(8), 100)]).not.toEqual(calls.slice(0, 100));
  });

  test("has whole tokens within the bounds of the real one, and goes forward in time", () => {
    expect(calls).toHaveLength(20_000);
    for (const { usage } of calls) {
      const { input, output } = usage;
      expect(Number.isInteger(input) && Number.isInteger(output)).toBe(true);
      expect(input).toBeGreaterThanOrEqual(1);
      expect(input).toBeLessThanOrEqual(14_050);
      expect(output).toBeGreaterThanOrEqual(1);
      expect(output).toBeLessThanOrEqual(1_000);
    }
    expect(Math.min(...gaps)).toBeGreaterThan(0);
  });

  // The real trace's quantiles: 25, 50, 75, 95 %.
  test.each([
    ["input", calls.map(({ usage }) => usage.input ?? 0), [396, 1020, 1189, 4083]],
    ["output", calls.map(({ usage }) => usage.output ?? 0), [85, 129, 395, 451]],
    ["gap", gaps, [48.3, 118.4, 246.7, 565.2]],
  ])("has the real one's quantiles of %s, within 15 %", (_what, values, real) => {
    const sorted = [...values].sort((one, other) => one - other);
    const found = [0.25, 0.5, 0.75, 0.95].map((p) => sorted[Math.floor(p * sorted.length)] ?? 0);
    for (const [index, quantile] of real.entries()) {
      expect(Math.abs((found[index] ?? 0) / quantile - 1)).toBeLessThan(0.15);
    }
  });
});

test("usage of a call is priced as the model that its row names, or else as another", () => {
  const model = { model: "acme/large", variant: "batch" };
  expect(usageOf({ at: 0, usage: { input: 1 } }, model)).toEqual({ ...model, input: 1 });
  const own = { model: "acme/small", variant: "flex", input: 1 };
  expect(usageOf({ at: 0, usage: own }, model)).toEqual(own);
});

test("the most that a call may use is its output, if it has any", () => {
  expect(withOutput({ input: 1, output: 2 }, 50)).toEqual({ input: 1, output: 50 });
  expect(withOutput({ input: 1 }, 50)).toEqual({ input: 1 });
  expect(outputTokens({ model: "acme/large", input: 1, output: 2, output_audio: 3 })).toBe(5);
});
