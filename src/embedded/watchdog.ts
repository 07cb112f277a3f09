import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";

// Its input ends when this program does, however that comes about; the signals that end a whole
// process group must not end it first. PostgreSQL removes postmaster.pid as its last act.
const script = `
trap '' INT TERM HUP
pid=0
while read -r line; do pid=$line; done
[ "$pid" = done ] && exit
signal=$1 data=$2 scratch=$3 tries=0
if [ "$pid" != 0 ] && kill -s "$signal" "$pid"; then
  while [ -e "$data/postmaster.pid" ] && kill -0 "$pid" && [ $tries -lt 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
tries=0
until rm -rf "$scratch" || [ $tries -ge 50 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
`;

/** Cleans up after this program when it cannot do so itself. */
export interface Watchdog {
  /** Names the server to stop; undefined: none runs. */
  watch(pid: number | undefined): void;
  /** Ends it: everything is cleaned up. */
  dismiss(): Promise<void>;
}

/**
 * Starts a process that outlives this one: when this one has ended, were it by SIGKILL, it
 * stops the server with `signal` and removes `scratch`.
 */
export function startWatchdog(signal: "INT" | "QUIT", dataDir: string, scratch: string): Watchdog {
  const shell = spawn("/bin/sh", ["-c", script, "baseledger-watchdog", signal, dataDir, scratch], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    detached: true,
  });
  // should somebody end it, the program goes on without
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return {
    watch: (pid) => {
      shell.stdin.write(`${pid ?? 0}\n`);
    },
    dismiss: async () => {
      if (shell.exitCode !== null || shell.signalCode !== null || !shell.pid) return;
      const ended = once(shell, "exit");
      shell.ref();
      shell.stdin.end("done\n");
      await ended;
    },
  };
}
