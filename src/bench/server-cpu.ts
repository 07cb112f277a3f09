import { readdirSync, readFileSync } from "node:fs";

// What /proc counts in is 1/100 s on every Linux.
const TICKS_A_SECOND = 100;

/**
 * The seconds of CPU time that a PostgreSQL server has used: its postmaster, the processes that it
 * has started, and those of them that have ended. Null where there is no /proc, as on macOS.
 */
export function serverCpuSeconds(postmaster: number): number | null {
  const own = readStat(postmaster);
  if (!own) return null;
  let ticks = own.used + own.usedByEnded;
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined;
    if (stat?.parent === postmaster) ticks += stat.used;
  }
  return ticks / TICKS_A_SECOND;
}

interface Stat {
  readonly parent: number;
  /** In user and in kernel mode. */
  readonly used: number;
  /** The same of the children that it has waited for. */
  readonly usedByEnded: number;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // it has ended, or there is no /proc
  }
  // The name of the program may contain spaces and parentheses. After it, fields count from the third.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    parent: field(4),
    used: field(14) + field(15),
    usedByEnded: field(16) + field(17),
  };
}
