// What callers of the client meet: how long they wait, and errors that none of them should get.
import { LedgerError } from "../../../src/errors/index.ts";

/** Who calls: of wallets that nobody locks, or of those that a fault may lock. */
export type Group = "free" | "shut";

/** What is noted of the callers of the client. */
export interface Measure {
  /**
   * Notes that a caller begins to wait for an answer, which is a receipt, a balance or a refusal;
   * call what it gives when it is there.
   */
  wait(group: Group, what: string): () => void;
  /** Notes an error that a caller was given. */
  error(what: string, error: unknown): void;
  /** Notes what else should not be. */
  find(what: string): void;
  /** Answers to callers of wallets that nobody locks. */
  readonly answers: number;
  /** The longest that one of these has waited since the last call of `begin`, also in vain so far. */
  longest(): { readonly ms: number; readonly what: string };
  /** Begins anew with the next fault. */
  begin(): void;
  /** Errors that were no refusals, told for a person, each kind once. */
  readonly errors: ReadonlyMap<string, number>;
  readonly findings: readonly string[];
}

interface Wait {
  readonly what: string;
  readonly began: number;
}

export function createMeasure(): Measure {
  const waiting = new Set<Wait>();
  const errors = new Map<string, number>();
  const findings: string[] = [];
  let longest = { ms: 0, what: "nobody" };
  let answers = 0;

  const note = ({ what, began }: Wait) => {
    const ms = performance.now() - began;
    if (ms > longest.ms) longest = { ms, what };
  };
  return {
    wait(group, what) {
      if (group === "shut") return () => undefined;
      const wait = { what, began: performance.now() };
      waiting.add(wait);
      return () => {
        if (!waiting.delete(wait)) return;
        note(wait);
        answers += 1;
      };
    },
    error(what, error) {
      if (error instanceof LedgerError) return;
      const told = `${what}: ${tell(error)}`;
      errors.set(told, (errors.get(told) ?? 0) + 1);
    },
    find: (what) => void findings.push(what),
    get answers() {
      return answers;
    },
    longest() {
      for (const wait of waiting) note(wait);
      return { ...longest, ms: Math.round(longest.ms) };
    },
    begin() {
      longest = { ms: 0, what: "nobody" };
      errors.clear();
      findings.length = 0;
    },
    errors,
    findings,
  };
}

/** An error with what caused it, without the keys that make each of them another. */
function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: string };
  const cause = error.cause ? ` because of ${tell(error.cause)}` : "";
  const message = error.message.replace(/\S*\d\S*/g, "…").slice(0, 200);
  return `${error.name}${code ? ` ${code}` : ""}: ${message}${cause}`;
}
