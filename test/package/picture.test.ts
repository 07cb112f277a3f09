import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const script = join(import.meta.dirname, "..", "..", "scripts", "picture.ts");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "baseledger-picture-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function picture(distributions: readonly string[]) {
  const file = join(folder, `${distributions.length}.json`);
  const workloads = distributions.flatMap((wallets) =>
    [1, 20].map((clients) => ({
      family: "client",
      wallets,
      clients,
      rate: { median: 100 * clients },
      naive: { median: 50 * clients },
    })),
  );
  await writeFile(file, JSON.stringify({ workloads, machine: { processors: 2, postgres: "18" } }));
  return run(process.execPath, [script, file]);
}

test("has a line for each way of calling", async () => {
  const { stdout } = await picture(["hot", "spread"]);
  expect(stdout).toMatch(/^<svg /);
  for (const name of ["BaseLedger, hot", "BaseLedger, spread", "naive, hot", "naive, spread"]) {
    expect(stdout).toContain(`>${name}</text>`);
  }
});

test("results without one of them are refused", async () => {
  await expect(picture(["hot"])).rejects.toMatchObject({ code: 1 });
});
