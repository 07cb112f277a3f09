// Measures how long callers of the TypeScript clients wait, and which errors they get.
import { LedgerError } from "../../../src/errors/index.ts";

/** A group of callers: of free wallets, which no fault locks, or of those that a fault may lock. */
export type Group = "free" | "shut";

export interface Measure {
  /**
   * A caller begins to wait for an answer: a receipt, a balance or a refusal. Call the function that
   * it returns when the answer is there.
   */
  wait(group: Group, what: string): () => void;
  /** A caller has got an error. */
  error(what: string, error: unknown): void;
  /** Something else is wrong. */
  find(what: string): void;
  /** Answers to callers of free wallets. */
  readonly answers: number;
  /** The longest wait of one of these since the last call of `begin`, unanswered ones included. */
  longest(): { readonly ms: number; readonly what: string };
  /** Resets it for the next fault. */
  begin(): void;
  /** How often each kind of error came that is not a refusal. */
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
      const kind = `${what}: ${kindOf(error)}`;
      errors.set(kind, (errors.get(kind) ?? 0) + 1);
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

/** Formats an error with its cause, without keys and numbers, so that errors of a kind are equal. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: string };
  const cause = error.cause ? ` because of ${kindOf(error.cause)}` : "";
  const message = error.message.replace(/\S*\d\S*/g, "…").slice(0, 200);
  return `${error.name}${code ? ` ${code}` : ""}: ${message}${cause}`;
}
