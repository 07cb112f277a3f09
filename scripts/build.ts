// npm run build
// Makes dist/, which is what the package contains.
//
// Each module of src/ becomes a module of dist/ with the same name. The npm packages that only the
// command line and the worker need are bundled into dist/vendor/ with their licences, and loaded by the
// commands that use them: to install the package brings the dependencies of the client and no others.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { type LicenseInfo, licensePlugin } from "rolldown-license-plugin";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");
const dist = join(root, "dist");
const { dependencies, peerDependencies } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);

/** Licences that ask for no more than their notice. */
const LICENSES = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD", "Python-2.0"];

/** Our modules import each other in dist/ as they do in src/. */
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
  // pg and cosmiconfig use the last two only if they are there.
  external: [...Object.keys({ ...dependencies, ...peerDependencies }), "pg-native", "typescript"],
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

// Source maps are for our own code; the sources of other packages are not shipped.
for (const { type, fileName } of output) {
  if (type !== "chunk" || !fileName.startsWith("vendor/")) continue;
  const file = join(dist, fileName);
  writeFileSync(file, readFileSync(file, "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
  rmSync(`${file}.map`, { force: true });
}
