// The servers of the proof: their logs are kept for the report, and none outlives the program.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Server, type ServerOptions, startPostgres } from "../../src/embedded/index.ts";

/** How much of each log is kept, in characters, and of how many stopped servers. */
const TAIL = 20_000;
const MOST_STOPPED = 4;

interface Watched {
  readonly server: Server;
  readonly name: string;
  /** The log until its last restart, which begins a new one. */
  before: string;
}

const running = new Set<Watched>();
const stopped: { name: string; log: string }[] = [];
let count = 0;

/** Starts a server as `startPostgres` does. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const server = await startPostgres(options);
  count += 1;
  const watched: Watched = { server, name: `server ${count}, port ${server.port}`, before: "" };
  running.add(watched);
  const stop = async () => {
    if (running.delete(watched)) {
      stopped.push({ name: `${watched.name}, stopped`, log: logOf(watched) });
      stopped.splice(0, stopped.length - MOST_STOPPED);
    }
    await server.stop();
  };
  return {
    url: server.url,
    port: server.port,
    dataDir: server.dataDir,
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    start() {
      watched.before = logOf(watched);
      return server.start();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The last part of each server's log, by the server's name. */
export function serverLogs(): Record<string, string> {
  const logs = [...running].map((each) => ({ name: each.name, log: logOf(each) }));
  return Object.fromEntries([...stopped, ...logs].map(({ name, log }) => [name, log]));
}

/** Stops all servers that still run. */
export async function stopServers(): Promise<void> {
  await Promise.allSettled([...running].map(({ server }) => server.stop()));
}

function logOf({ server, before }: Watched): string {
  return `${before}${readEnd(join(server.dataDir, "server.log"))}`.slice(-TAIL);
}

function readEnd(file: string): string {
  try {
    const from = Math.max(0, statSync(file).size - TAIL);
    const buffer = Buffer.alloc(TAIL);
    const descriptor = openSync(file, "r");
    const read = readSync(descriptor, buffer, 0, TAIL, from);
    closeSync(descriptor);
    return buffer.toString("utf8", 0, read);
  } catch (error) {
    return `(cannot be read: ${(error as Error).message})\n`;
  }
}
