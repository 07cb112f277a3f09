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

/** Paths from the root of the repository, in backticks; `<name>` stands for any name. */
function paths(page: string): string[] {
  const found = prose(page).matchAll(/`((?:db|docs|examples|scripts|src|test)\/[^`\s]+)`/g);
  return [...new Set([...found].map(([, path = ""]) => path))];
}

describe.each(PAGES)("%s", (page) => {
  test("links to what is there", () => {
    const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const inside = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(inside.filter((link) => !isThere(page, link))).toEqual([]);
  });

  test("names paths that are there", () => {
    const isMissing = (path: string) =>
      globSync(path.replaceAll(/<\w+>/g, "*"), { cwd: ROOT }).length === 0;
    expect(paths(page).filter(isMissing)).toEqual([]);
  });
});
