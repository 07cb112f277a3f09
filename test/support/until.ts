import { setTimeout as pause } from "node:timers/promises";

/**
 * Waits until `condition` returns something other than false or undefined, and returns that.
 *
 * @throws Error naming `what`, after `patience` milliseconds
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  patience = 30_000,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await pause(20);
  }
}
