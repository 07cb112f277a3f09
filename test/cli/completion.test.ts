// The scripts in the shells that they are for, as far as this machine has them.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseledger } from "../support/cli.ts";

let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "completion-"));
  writeFileSync(join(dir, "calls of may.csv"), "");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout, stderr } = await baseledger(["completion", shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    writeFileSync(join(dir, `script.${shell}`), stdout);
  }
});

afterAll(() => rmSync(dir, { recursive: true }));

/** What a shell offers at the end of a line that begins with `baseledger`. */
type Completer = (...words: string[]) => string[];

const inBash: Completer = (...words) =>
  run("bash", [
    "--norc",
    "-c",
    `source ./script.bash
    COMP_WORDS=(baseledger "$@"); COMP_CWORD=$#
    _baseledger 2>&1; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    ...words,
  ]);

const inFish: Completer = (...words) =>
  run("fish", [
    "--no-config",
    "-c",
    `source ./script.fish; complete -C "baseledger ${words.join(" ")}"`,
  ]).map((line) => line.replace(/\t.*/, ""));

// zsh completes in its line editor only. One in a terminal of its own is sent the line and a tab; it
// writes down what it adds to its matches, and ends.
const ZSH_INSIDE = `
  autoload -Uz compinit; compinit -u -D
  source ./script.zsh
  compadd() {
    # With one of these it only asks what would match.
    if [[ " \${@[1,(i)(-|--)]}" != *" -"[OAD]* ]]; then
      local -a found
      builtin compadd -O found "$@"
      print -rl -- $found >> found
    fi
    builtin compadd "$@"
  }
  comppostfuncs=(exit)`;
const ZSH_OUTSIDE = `
  zmodload zsh/zpty
  : > found
  zpty inside zsh -f -i
  zpty -w inside 'source ./inside.zsh'
  zpty -n -w inside "$1"$'\t'
  while zpty -r inside said; do :; done
  cat found`;
const inZsh: Completer = (...words) => {
  writeFileSync(join(dir, "inside.zsh"), ZSH_INSIDE);
  return run("zsh", ["-f", "-c", ZSH_OUTSIDE, "zsh", `baseledger ${words.join(" ")}`]);
};

function run(shell: string, args: readonly string[]): string[] {
  const env = { PATH: process.env.PATH, HOME: dir, TERM: "dumb", ZDOTDIR: dir };
  const out = execFileSync(shell, args, { cwd: dir, env, encoding: "utf8", timeout: 30_000 });
  return out.split("\n").filter((line) => line !== "");
}

const SHELLS: readonly (readonly [string, Completer])[] = [
  ["bash", inBash],
  ["zsh", inZsh],
  ["fish", inFish],
];

describe.each(SHELLS)("in %s", (shell, complete) => {
  const isThere = spawnSync(shell, ["--version"]).status === 0;

  test.skipIf(!isThere)("commands", () => {
    expect(complete("fr")).toEqual(["freeze"]);
    expect(complete("")).toEqual(expect.arrayContaining(["migrate", "open", "verify"]));
    expect(complete("help", "verif")).toEqual(["verify"]);
  });

  test.skipIf(!isThere)("options of the command", () => {
    expect(complete("credit", "acme", "5", "--me")).toEqual(["--metadata"]);
    const options = complete("credit", "acme", "--");
    expect(options).toEqual(expect.arrayContaining(["--key", "--url", "--json"]));
    expect(options).not.toContain("--trace");
  });

  test.skipIf(!isThere)("commands of a command, and all their options", () => {
    expect(complete("limit", "rem")).toEqual(["remove"]);
    expect(complete("key", "create", "acme", "--exp")).toEqual(["--expires"]);
    expect(complete("limit", "set", "--of", "ca")).toEqual(["calls"]);
  });

  test.skipIf(!isThere)("values that are known", () => {
    expect(complete("worker", "--log-format", "j")).toEqual(["json"]);
    expect(complete("completion", "fi")).toEqual(["fish"]);
  });

  test.skipIf(!isThere)("files where a file is wanted, and only there", () => {
    const [found = ""] = complete("simulate", "--trace", "calls");
    expect(found.replaceAll("\\", "")).toBe("calls of may.csv");
    expect(complete("credit", "--key", "calls")).toEqual([]);
    expect(complete("balance", "calls")).toEqual([]);
  });
});

test("a shell that it does not know is a wrong command line", async () => {
  const { code, stderr } = await baseledger(["completion", "tcsh"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/Allowed choices are bash, zsh, fish/);
});
