import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Finds a Python with a module; Debian's packages are for /usr/bin/python3. */
export async function findPython(module: string): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    const found = await run(python, ["-c", `import ${module}`]).catch(() => undefined);
    if (found) return python;
  }
  return undefined;
}
