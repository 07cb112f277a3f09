/** How often what was done. */
export interface Counts {
  add(more: Readonly<Record<string, number>>): void;
  /** The largest of what it was given under a name. */
  most(name: string, value: number): void;
  of(name: string): number;
  all(): Record<string, number>;
  say(): string;
}

export function createCounts(): Counts {
  const counts = new Map<string, number>();
  const of = (name: string) => counts.get(name) ?? 0;
  return {
    add(more) {
      for (const [name, count] of Object.entries(more)) counts.set(name, of(name) + count);
    },
    most: (name, value) => void counts.set(name, Math.max(of(name), value)),
    of,
    all: () => Object.fromEntries(counts),
    say: () => [...counts].map(([name, count]) => `${name} ${count}`).join(", "),
  };
}
