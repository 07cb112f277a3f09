// Ends a process with its input, which is held open by the program that has started it.
process.stdin
  .resume()
  .once("end", () => process.exit())
  .once("error", () => process.exit());
