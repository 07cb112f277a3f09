/** Resolves at Ctrl-C, or when the program is asked to end. A second Ctrl-C ends it at once. */
export function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      resolve();
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
  });
}
