// A program that starts an embedded server, prints its address as JSON, and then ends in the way that
// its first argument says.
import { once } from "node:events";
import postgres from "postgres";
import { openEmbedded, type ServerOptions, startPostgres } from "../../src/embedded/index.ts";

const [how = "stay", options = "{}"] = process.argv.slice(2);
const { open, ...given }: ServerOptions & { open?: boolean } = JSON.parse(options);
const server = open ? await openEmbedded() : await startPostgres(given);
const interrupted = how === "drain" ? once(process, "SIGINT") : undefined;
// Only this keeps the program running, until its input ends, or a signal.
if (how === "drain" || how === "stay") process.stdin.resume();
process.stdout.write(`${JSON.stringify(server)}\n`);

if (how === "exit") process.exit(3);
if (how === "throw") throw new Error("thrown on purpose");
if (how === "drain") {
  // As a command does at Ctrl-C: it finishes its work, then stops the server.
  await interrupted;
  const sql = postgres(server.url, { max: 1 });
  const [row] = await sql`select 'drained' as word from pg_sleep(0.3)`;
  await sql.end();
  await server.stop();
  process.stdout.write(`${JSON.stringify(row)}\n`);
  process.stdin.destroy();
}
