/** What was done, and how often. */
export interface Counts {
  add(more: Readonly<Record<string, number>>): void;
  /** Keeps the largest value given for a name. */
  max(name: string, value: number): void;
  of(name: string): number;
  all(): Record<string, number>;
  format(): string;
}

export function createCounts(): Counts {
  const counts = new Map<string, number>();
  const of = (name: string) => counts.get(name) ?? 0;
  return {
    add(more) {
      for (const [name, count] of Object.entries(more)) counts.set(name, of(name) + count);
    },
    max: (name, value) => void counts.set(name, Math.max(of(name), value)),
    of,
    all: () => Object.fromEntries(counts),
    format: () => [...counts].map(([name, count]) => `${name} ${count}`).join(", "),
  };
}
