import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A Python that has a package: that of Debian's packages is in /usr/bin. */
export async function findPython(module: string): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    const found = await run(python, ["-c", `import ${module}`]).catch(() => undefined);
    if (found) return python;
  }
  return undefined;
}
