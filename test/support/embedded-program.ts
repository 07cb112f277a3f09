// A program that starts an embedded server, says so in one line of JSON, and then ends as told.
import { once } from "node:events";
import postgres from "postgres";
import { openEmbedded, type ServerOptions, startPostgres } from "../../src/embedded/index.ts";

const [how = "stay", options = "{}"] = process.argv.slice(2);
const { open, ...given }: ServerOptions & { open?: boolean } = JSON.parse(options);
const server = open ? await openEmbedded() : await startPostgres(given);
const interrupted = how === "drain" ? once(process, "SIGINT") : undefined;
// waits until the end of its input, or a signal; this alone keeps the program alive
if (how === "drain" || how === "stay") process.stdin.resume();
process.stdout.write(`${JSON.stringify(server)}\n`);

if (how === "exit") process.exit(3);
if (how === "throw") throw new Error("thrown on purpose");
if (how === "drain") {
  // what a command does with Ctrl-C: finish its work, then stop the server
  await interrupted;
  const sql = postgres(server.url, { max: 1 });
  const [row] = await sql`select 'drained' as word from pg_sleep(0.3)`;
  await sql.end();
  await server.stop();
  process.stdout.write(`${JSON.stringify(row)}\n`);
  process.stdin.destroy();
}
