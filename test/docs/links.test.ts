// What the documentation refers to is there: files, headings, and paths in backticks.
import { existsSync, globSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT, readRepositoryFile } from "../support/markdown.ts";

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "db/ERRORS.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** The text of a page without its fenced blocks. */
function prose(page: string): string {
  return readRepositoryFile(page).replace(/^```.*?^```$/gms, "");
}

/** The anchors that GitHub gives the headings of a page. */
function anchors(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function isThere(from: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const file = path === "" ? from : relative(ROOT, join(ROOT, dirname(from), path));
  if (!existsSync(join(ROOT, file))) return false;
  return anchor === undefined || anchors(file).includes(anchor);
}

const FOLDERS = ["db", "docs", "examples", "scripts", "src", "test"];

/** Files and folders in backticks: paths from the root, or names alone; `<name>` is any name. */
function paths(page: string): string[] {
  const path = new RegExp(
    `\`((?:${FOLDERS.join("|")})/[^\`\\s]+|[\\w-]+(?:\\.test\\.ts|\\.sql))\``,
    "g",
  );
  return [...new Set([...prose(page).matchAll(path)].map(([, found = ""]) => found))];
}

/** Every file of the repository that the documentation may name, once. */
const files = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*`, { cwd: ROOT }));

function isNamedRight(path: string): boolean {
  if (!path.includes("/")) return files.some((file) => file.endsWith(`/${path}`));
  return globSync(path.replaceAll(/<\w+>/g, "*"), { cwd: ROOT }).length > 0;
}

describe.each(PAGES)("%s", (page) => {
  test("links to what is there", () => {
    const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const inside = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(inside.filter((link) => !isThere(page, link))).toEqual([]);
  });

  test("names paths that are there", () => {
    expect(paths(page).filter((path) => !isNamedRight(path))).toEqual([]);
  });
});
