// Ends a process when its input ends, which the program that started it keeps open.
process.stdin
  .resume()
  .once("end", () => process.exit())
  .once("error", () => process.exit());
