import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/until.ts";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "npm-"));
  // Where we are root, the embedded server runs as another user.
  chmodSync(dir, 0o755);
});
afterAll(() => rmSync(dir, { recursive: true }));

// npm passes SIGTERM on to a shell, and the others to nobody.
test.each(["SIGTERM", "SIGHUP", "SIGKILL"] as const)(
  "%s to npm ends the server that `npm run baseledger -- dev` has started",
  async (signal) => {
    const child = spawn("npm", ["run", "baseledger", "--", "dev"], {
      cwd: join(import.meta.dirname, "..", ".."),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, BASELEDGER_DATA: dir },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    await until("it runs", () => said.includes("Ctrl-C ends it"));
    const running = join(dir, "postgres", "postmaster.pid");
    expect(existsSync(running)).toBe(true);
    child.kill(signal);
    await until("it has ended in order", () => said.includes("the data is kept"));
    expect(existsSync(running)).toBe(false);
  },
);
