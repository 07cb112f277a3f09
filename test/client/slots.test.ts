import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { createSlots, type Slot } from "../../src/client/slots.ts";

/** Slots that a test acquires and releases by name. */
function createHarness(size: number) {
  const slots = createSlots(size);
  const inside = new Map<string, Slot[]>();

  const names = () => [...inside].flatMap(([name, each]) => each.map(() => name)).sort();
  return {
    names,
    async acquire(name: string, slow = false): Promise<void> {
      const start = (slot: Slot) => inside.set(name, [...(inside.get(name) ?? []), slot]);
      slots.acquire({ lockKey: slow ? {} : name, slow, start });
      await setImmediate();
    },
    slots: (name: string) => inside.get(name) ?? [],
    /** How long the statements of a name may wait for a lock. */
    lockTimeouts: (name: string) => inside.get(name)?.map(({ lockTimeoutMs }) => lockTimeoutMs),
    async release(name: string, outcome: "served" | "blocked" = "served"): Promise<void> {
      const [first, ...others] = inside.get(name) ?? [];
      inside.set(name, others);
      first?.release(outcome);
      await setImmediate();
    },
  };
}

const many = (letter: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${letter}${i}`);

test("half of the slots may wait long, the others briefly", async () => {
  const harness = createHarness(10);
  for (const name of many("a", 12)) await harness.acquire(name);
  expect(harness.names()).toHaveLength(10);
  const lockTimeouts = harness.names().flatMap((name) => harness.lockTimeouts(name) ?? []);
  expect(lockTimeouts.filter((ms) => ms === Number.POSITIVE_INFINITY)).toHaveLength(5);
  expect(lockTimeouts.filter((ms) => ms < 1_000)).toHaveLength(5);
});

test("a blocked statement comes after others, and leaves a slot to them", async () => {
  const harness = createHarness(10);
  const locked = many("locked", 20);
  for (const name of locked) await harness.acquire(name);
  // Those in long slots stay. The others are refused, and try again.
  for (let round = 0; round < 30; round++) {
    for (const name of harness.names()) {
      if (harness.lockTimeouts(name)?.[0] === Number.POSITIVE_INFINITY) continue;
      await harness.release(name, "blocked");
      await harness.acquire(name);
    }
    expect(harness.names().length).toBeLessThanOrEqual(10);
  }
  expect(harness.names()).toHaveLength(9);
  await harness.acquire("free");
  expect(harness.lockTimeouts("free")).toHaveLength(1);
  for (const name of many("free-", 3)) await harness.acquire(name);
  expect(harness.names().filter((name) => name.startsWith("free"))).toEqual(["free"]);
  // As long as others wait, only one blocked statement tries at a time.
  for (const name of harness.names().filter((each) => each.startsWith("locked"))) {
    if (harness.lockTimeouts(name)?.[0] !== Number.POSITIVE_INFINITY)
      await harness.release(name, "blocked");
  }
  expect(harness.names().filter((name) => name.startsWith("free"))).toHaveLength(4);
});

test("one statement of a key waits long, and those behind it do not try", async () => {
  const harness = createHarness(4);
  for (let i = 0; i < 3; i++) await harness.acquire("a");
  expect(harness.lockTimeouts("a")).toEqual([Number.POSITIVE_INFINITY, 250, 250]);
  // The first of its short ones is refused, and tries again.
  const slots = harness.slots("a");
  slots[1]?.release("blocked");
  await harness.acquire("a");
  expect(harness.lockTimeouts("a")).toHaveLength(3);
  slots[0]?.release("served");
  await setImmediate();
  expect(harness.lockTimeouts("a")).toHaveLength(4);
});

test("a key that was served does not count as blocked any more", async () => {
  const harness = createHarness(2);
  await harness.acquire("a");
  await harness.acquire("b");
  await harness.release("b", "blocked");
  await harness.acquire("b");
  // The short one, as `a` has the long one.
  expect(harness.lockTimeouts("b")).toEqual([250]);
  await harness.acquire("b");
  await harness.release("b", "served");
  expect(harness.lockTimeouts("b")).toEqual([250]);
});

test("a slow statement takes a long slot, never a short one", async () => {
  const harness = createHarness(4);
  for (const name of many("slow", 5)) await harness.acquire(name, true);
  expect(harness.names()).toEqual(["slow0", "slow1"]);
  for (const name of many("quick", 2)) await harness.acquire(name);
  expect(harness.names()).toEqual(["quick0", "quick1", "slow0", "slow1"]);
  await harness.release("slow0");
  expect(harness.names()).toEqual(["quick0", "quick1", "slow1", "slow2"]);
});

test("a single connection serves all, those that were not blocked first", async () => {
  const harness = createHarness(1);
  await harness.acquire("a");
  expect(harness.lockTimeouts("a")).toEqual([250]);
  await harness.acquire("slow", true);
  await harness.acquire("b");
  await harness.release("a", "blocked");
  await harness.acquire("a");
  expect(harness.names()).toEqual(["b"]);
  await harness.release("b");
  expect(harness.names()).toEqual(["slow"]);
  await harness.release("slow");
  expect(harness.names()).toEqual(["a"]);
});

test("releasing a slot twice counts once", async () => {
  const slots = createSlots(1);
  const started: Slot[] = [];
  for (let i = 0; i < 3; i++) {
    slots.acquire({ lockKey: i, slow: false, start: (slot) => started.push(slot) });
  }
  await setImmediate();
  started[0]?.release("served");
  started[0]?.release("served");
  expect(started).toHaveLength(2);
});
