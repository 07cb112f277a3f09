import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { canAsk, confirm } from "../../src/terminal/confirm.ts";

function terminal() {
  const input = new PassThrough();
  const output = new PassThrough();
  return { input, output };
}

test.each([
  ["y\n", true],
  ["Yes\n", true],
  [" y \n", true],
  ["n\n", false],
  ["\n", false],
  ["yesterday\n", false],
])("%j answers a question with %j", async (answer, agreed) => {
  const { input, output } = terminal();
  input.write(answer);
  expect(await confirm("Set\u001b[2J these?", { input, output })).toBe(agreed);
  expect(String(output.read())).toContain(String.raw`Set\x1b[2J these? [y/N] `);
});

test("an end without an answer is no", async () => {
  const { input, output } = terminal();
  input.end();
  expect(await confirm("Set?", { input, output })).toBe(false);
});

test("nobody can be asked without a terminal", () => {
  const { input, output } = terminal();
  expect(canAsk({ input, output })).toBe(false);
  expect(canAsk({ input: Object.assign(input, { isTTY: true }), output })).toBe(true);
});
