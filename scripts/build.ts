// npm run build: makes dist/, what is published.
//
// Each module of src/ becomes one of dist/, by the same name. What only the command line and the
// worker need from npm goes into dist/vendor/, with its licences, and is loaded by the commands that
// use it: whoever installs the package for its client gets the client's dependencies and no others.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { type LicenseInfo, licensePlugin } from "rolldown-license-plugin";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");
const dist = join(root, "dist");
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** What may be passed on with no more than its notice. */
const LICENSES = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD", "Python-2.0"];

/** Modules of ours import each other in dist/ as they do in src/. */
const ownModules: Plugin = {
  name: "own-modules",
  resolveId(source, importer) {
    if (!importer?.startsWith(src) || !source.startsWith(".")) return undefined;
    const id = resolve(dirname(importer), source).replace(/\.ts$/, ".js");
    return { id, external: "relative" };
  },
};

const licenses = licensePlugin({
  allow: ({ license }) => LICENSES.includes(license),
  failOnViolation: true,
  failOnUnlicensed: true,
  done: (found, context) => {
    const source = found.map(notice).join(`\n${"-".repeat(80)}\n\n`);
    context.emitFile({ type: "asset", fileName: "vendor/LICENSES.txt", source });
  },
});

function notice({ name, version, license, licenseText }: LicenseInfo): string {
  return `${name} ${version}, ${license}\n\n${licenseText.trim()}\n`;
}

function packageOf(id: string): string | null {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1]?.replace("/", "-") ?? null;
}

const modules = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.replace(/\.ts$/, ""));

rmSync(dist, { recursive: true, force: true });
const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(modules.map((name) => [name, join(src, `${name}.ts`)])),
  // pg and cosmiconfig try these, and do without them.
  external: [...Object.keys(dependencies), "pg-native", "typescript"],
  platform: "node",
  tsconfig: join(root, "tsconfig.json"),
  transform: { target: "es2024" },
  plugins: [ownModules, licenses],
});
const { output } = await bundle.write({
  dir: dist,
  entryFileNames: "[name].js",
  chunkFileNames: "vendor/[name].js",
  sourcemap: true,
  codeSplitting: { groups: [{ name: packageOf, test: /node_modules/, debugName: "vendor" }] },
});
await bundle.close();

// Maps tell where our code comes from; the sources of other packages are not ours to ship.
for (const { type, fileName } of output) {
  if (type !== "chunk" || !fileName.startsWith("vendor/")) continue;
  const file = join(dist, fileName);
  writeFileSync(file, readFileSync(file, "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
  rmSync(`${file}.map`, { force: true });
}
