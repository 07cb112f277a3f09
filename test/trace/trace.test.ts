import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { generateTrace } from "../../src/trace/generate-trace.ts";
import { createRandom } from "../../src/trace/random.ts";
import { readTrace, type TracedCall, TraceError } from "../../src/trace/read-trace.ts";

const dir = mkdtempSync(join(tmpdir(), "trace-"));
afterAll(() => rmSync(dir, { recursive: true }));

const HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens";
const ROW = "2023-11-16 18:15:46.6805900,374,44";

function file(text: string): string {
  const path = join(dir, "trace.csv");
  writeFileSync(path, text);
  return path;
}

async function read(text: string): Promise<TracedCall[]> {
  return readAll(file(text));
}

async function readAll(path: string): Promise<TracedCall[]> {
  const calls: TracedCall[] = [];
  for await (const call of readTrace(path)) {
    calls.push(call);
  }
  return calls;
}

describe("a trace", () => {
  const call = {
    at: Date.UTC(2023, 10, 16, 18, 15, 46) + 680.59,
    inputTokens: 374,
    outputTokens: 44,
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
      "model,GeneratedTokens,TIMESTAMP,ContextTokens\nx,44,2023-11-16 18:15:46.6805900,374\n",
    ],
    ["with a zone", `${HEADER}\n2023-11-16T19:15:46.68059+01:00,374,44\n`],
  ])("%s is read", async (_what, text) => {
    const [found, ...more] = await read(text);
    expect(more).toEqual([]);
    expect(found?.at).toBeCloseTo(call.at, 3);
    expect({ ...found, at: call.at }).toEqual(call);
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
    for (const { inputTokens, outputTokens } of calls) {
      expect(Number.isInteger(inputTokens) && Number.isInteger(outputTokens)).toBe(true);
      expect(inputTokens).toBeGreaterThanOrEqual(1);
      expect(inputTokens).toBeLessThanOrEqual(14_050);
      expect(outputTokens).toBeGreaterThanOrEqual(1);
      expect(outputTokens).toBeLessThanOrEqual(1_000);
    }
    expect(Math.min(...gaps)).toBeGreaterThan(0);
  });

  // The real trace's quantiles: 25, 50, 75, 95 %.
  test.each([
    ["input", calls.map((call) => call.inputTokens), [396, 1020, 1189, 4083]],
    ["output", calls.map((call) => call.outputTokens), [85, 129, 395, 451]],
    ["gap", gaps, [48.3, 118.4, 246.7, 565.2]],
  ])("has the real one's quantiles of %s, within 15 %", (_what, values, real) => {
    const sorted = [...values].sort((one, other) => one - other);
    const found = [0.25, 0.5, 0.75, 0.95].map((p) => sorted[Math.floor(p * sorted.length)] ?? 0);
    for (const [index, quantile] of real.entries()) {
      expect(Math.abs((found[index] ?? 0) / quantile - 1)).toBeLessThan(0.15);
    }
  });
});
