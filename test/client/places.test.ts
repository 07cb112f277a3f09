import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { createPlaces, type Place } from "../../src/client/places.ts";

/** Places that a test gives back as it likes. */
function createHotel(size: number) {
  const places = createPlaces(size);
  const inside = new Map<string, Place[]>();

  const names = () => [...inside].flatMap(([name, each]) => each.map(() => name)).sort();
  return {
    names,
    async enter(name: string, slow = false): Promise<void> {
      const start = (place: Place) => inside.set(name, [...(inside.get(name) ?? []), place]);
      places.enter({ subject: slow ? {} : name, slow, start });
      await setImmediate();
    },
    places: (name: string) => inside.get(name) ?? [],
    /** How long the statements of a name may wait. */
    patience: (name: string) => inside.get(name)?.map(({ patience }) => patience),
    async leave(name: string, outcome: "served" | "blocked" = "served"): Promise<void> {
      const [first, ...others] = inside.get(name) ?? [];
      inside.set(name, others);
      first?.leave(outcome);
      await setImmediate();
    },
  };
}

const many = (letter: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${letter}${i}`);

test("half of the places may wait for long, the others for a moment", async () => {
  const hotel = createHotel(10);
  for (const name of many("a", 12)) await hotel.enter(name);
  expect(hotel.names()).toHaveLength(10);
  const patience = hotel.names().flatMap((name) => hotel.patience(name) ?? []);
  expect(patience.filter((ms) => ms === Number.POSITIVE_INFINITY)).toHaveLength(5);
  expect(patience.filter((ms) => ms < 1_000)).toHaveLength(5);
});

test("who was blocked comes after those who were not, and leaves a place to them", async () => {
  const hotel = createHotel(10);
  const locked = many("locked", 20);
  for (const name of locked) await hotel.enter(name);
  // Those with patience stay. The others are refused, and try again.
  for (let round = 0; round < 30; round++) {
    for (const name of hotel.names()) {
      if (hotel.patience(name)?.[0] === Number.POSITIVE_INFINITY) continue;
      await hotel.leave(name, "blocked");
      await hotel.enter(name);
    }
    expect(hotel.names().length).toBeLessThanOrEqual(10);
  }
  expect(hotel.names()).toHaveLength(9);
  await hotel.enter("free");
  expect(hotel.patience("free")).toHaveLength(1);
  for (const name of many("free-", 3)) await hotel.enter(name);
  expect(hotel.names().filter((name) => name.startsWith("free"))).toEqual(["free"]);
  // As long as others wait, one that was blocked tries at a time.
  for (const name of hotel.names().filter((each) => each.startsWith("locked"))) {
    if (hotel.patience(name)?.[0] !== Number.POSITIVE_INFINITY) await hotel.leave(name, "blocked");
  }
  expect(hotel.names().filter((name) => name.startsWith("free"))).toHaveLength(4);
});

test("one of a subject waits for long, and those behind it do not try", async () => {
  const hotel = createHotel(4);
  for (let i = 0; i < 3; i++) await hotel.enter("a");
  expect(hotel.patience("a")).toEqual([Number.POSITIVE_INFINITY, 250, 250]);
  // The first of its short ones is refused, and comes again.
  const places = hotel.places("a");
  places[1]?.leave("blocked");
  await hotel.enter("a");
  expect(hotel.patience("a")).toHaveLength(3);
  places[0]?.leave("served");
  await setImmediate();
  expect(hotel.patience("a")).toHaveLength(4);
});

test("a subject that was served is not suspect any more", async () => {
  const hotel = createHotel(2);
  await hotel.enter("a");
  await hotel.enter("b");
  await hotel.leave("b", "blocked");
  await hotel.enter("b");
  // The short one, as `a` has the long one.
  expect(hotel.patience("b")).toEqual([250]);
  await hotel.enter("b");
  await hotel.leave("b", "served");
  expect(hotel.patience("b")).toEqual([250]);
});

test("what is slow takes a long place, and none that is short", async () => {
  const hotel = createHotel(4);
  for (const name of many("slow", 5)) await hotel.enter(name, true);
  expect(hotel.names()).toEqual(["slow0", "slow1"]);
  for (const name of many("quick", 2)) await hotel.enter(name);
  expect(hotel.names()).toEqual(["quick0", "quick1", "slow0", "slow1"]);
  await hotel.leave("slow0");
  expect(hotel.names()).toEqual(["quick0", "quick1", "slow1", "slow2"]);
});

test("a single connection serves all, those first who were not blocked", async () => {
  const hotel = createHotel(1);
  await hotel.enter("a");
  expect(hotel.patience("a")).toEqual([250]);
  await hotel.enter("slow", true);
  await hotel.enter("b");
  await hotel.leave("a", "blocked");
  await hotel.enter("a");
  expect(hotel.names()).toEqual(["b"]);
  await hotel.leave("b");
  expect(hotel.names()).toEqual(["slow"]);
  await hotel.leave("slow");
  expect(hotel.names()).toEqual(["a"]);
});

test("giving a place back twice counts once", async () => {
  const places = createPlaces(1);
  const started: Place[] = [];
  for (let i = 0; i < 3; i++) {
    places.enter({ subject: i, slow: false, start: (place) => started.push(place) });
  }
  await setImmediate();
  started[0]?.leave("served");
  started[0]?.leave("served");
  expect(started).toHaveLength(2);
});
