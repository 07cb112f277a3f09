import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWatchdog } from "../../../src/embedded/watchdog.ts";

/** Makes a folder that goes with what is cleared up, and with this program, however that ends. */
export function createFolder(clearing: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "baseledger-field-"));
  // Servers may run as another user.
  chmodSync(folder, 0o755);
  const watchdog = startWatchdog(folder);
  clearing.defer(async () => {
    await watchdog.dismiss();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  return folder;
}
