// What limits refuse, count and alert to, with figures worked out by hand.
import { expect, test } from "vitest";
import { usesOf } from "./limits.ts";
import { limitOf, type Scene, scene, time } from "./scene.ts";

const use = (its: Scene, id: string, at: string, values: readonly string[] = []) => {
  const wallet = its.ledger.get("a");
  const limit = wallet?.limits.get(id);
  if (!wallet || !limit) throw new Error("no such limit");
  const found = usesOf(wallet, limit, time(at)).get(JSON.stringify(values));
  return found && [found.spent, found.held];
};
const alerts = ({ ledger }: Scene) =>
  ledger.get("a")?.alerts.map(({ threshold, value }) => [threshold, value]);

test("what is held and spent counts, and a day later only what is held", () => {
  const its = scene();
  its.do("set_limit", limitOf("day", 10));
  its.do("reserve", { reservation_id: "r", amount: 6, ttl: 172_800 });
  its.do("charge", { amount: 3 });
  expect(its.why("reserve", { amount: 2 })).toEqual({
    limit_id: "day",
    values: [],
    per: "day",
    of: "amount",
    amount: 10n,
    used: 9n,
    held: 6n,
    requested: 2n,
    shortfall: 1n,
    reason: "held",
    retry_at: time("2027-01-17T12:00:00") + 3n,
    resets_at: null,
  });
  // Open holds would not cover 8: the window has to end.
  expect(its.why("reserve", { amount: 8 })).toMatchObject({
    reason: "exhausted",
    retry_at: null,
    resets_at: time("2027-01-16T00:00:00"),
  });
  // No window helps.
  expect(its.why("reserve", { amount: 11 })).toMatchObject({ resets_at: null });
  expect(its.try("reserve", { amount: 1 })).toBe("reserved");
  its.at("2027-01-16T00:00:00");
  expect(use(its, "day", "2027-01-16T00:00:00")).toEqual([0n, 6n]);
});

test("what is spent counts in the window in which it is spent, however late", () => {
  const its = scene();
  its.do("reserve", { reservation_id: "r", amount: 5, ttl: 60 });
  its.do("set_limit", limitOf("day", 4));
  expect(use(its, "day", "2027-01-15T12:00:01")).toEqual([0n, 5n]);
  its.at("2027-01-16T00:00:00");
  expect(its.try("settle", { reservation_id: "r", amount: 9 })).toBe("settled");
  expect(use(its, "day", "2027-01-16T00:00:00")).toEqual([9n, 0n]);
  expect(its.why("charge", { amount: 1 })).toMatchObject({ used: 9n, shortfall: 6n });
  expect(its.try("charge", { amount: 1, already_spent: true })).toBe("charged");
});

test("a refund counts where its reservation was opened in the window, after the limit was set", () => {
  const its = scene();
  its.do("charge", { reservation_id: "before", amount: 1 });
  its.do("set_limit", limitOf("day", 10));
  its.do("charge", { reservation_id: "r", amount: 7 });
  its.do("refund", { reservation_id: "r", amount: 2 });
  its.do("refund", { reservation_id: "before", amount: 1 });
  expect(use(its, "day", "2027-01-15T13:00:00")).toEqual([5n, 0n]);
  its.at("2027-01-16T08:00:00");
  its.do("charge", { amount: 4 });
  its.do("refund", { reservation_id: "r", amount: 3 });
  expect(use(its, "day", "2027-01-16T08:00:01")).toEqual([4n, 0n]);
});

test("an extension adds only what is more, and counts by the labels of the opening", () => {
  const its = scene();
  its.do("set_limit", limitOf("user", 5, { by: ["user"] }));
  its.do("reserve", { reservation_id: "r", amount: 4, metadata: { user: "ann" } });
  const more = { reservation_id: "r", ttl: 60 };
  expect(its.try("extend", { ...more, amount: 5 })).toBe("extended");
  expect(its.why("extend", { ...more, amount: 6 })).toMatchObject({
    values: ["ann"],
    requested: 1n,
  });
  expect(its.try("extend", { ...more, amount: 2 })).toBe("extended");
  expect(its.try("reserve", { amount: 5, metadata: { user: "bob" } })).toBe("reserved");
  expect(its.try("reserve", { amount: 5, metadata: { user: 7 } })).toBe("reserved");
  expect(its.why("reserve", { amount: 1 })).toMatchObject({ values: [""], used: 5n });
});

test("calls are counted, open reservations too, and 0 blocks", () => {
  const its = scene();
  its.do("set_limit", limitOf("calls", 2, { of: "calls", per: "minute" }));
  its.do("reserve", { reservation_id: "r", amount: 1 });
  its.do("charge", { amount: 1 });
  expect(its.why("reserve", { amount: 1 })).toMatchObject({
    of: "calls",
    requested: 1n,
    used: 2n,
    held: 0n,
    resets_at: time("2027-01-15T12:01:00"),
  });
  its.do("remove_limit", { limit_id: "calls" });
  its.do("set_limit", limitOf("open", 1, { of: "open", per: "ever" }));
  expect(its.why("reserve", { amount: 1 })).toMatchObject({ reason: "held", held: 1n });
  expect(its.try("charge", { amount: 1 })).toBe("charged");
  its.do("cancel", { reservation_id: "r" });
  expect(its.try("reserve", { amount: 1 })).toBe("reserved");
  its.do("set_limit", limitOf("open", 0, { of: "open", per: "ever" }));
  expect(its.why("reserve", { amount: 1 })).toMatchObject({
    reason: "exhausted",
    retry_at: null,
    resets_at: null,
  });
});

test("the least that funds and limits leave is granted, if that is enough", () => {
  const its = scene(20);
  its.do("set_limit", limitOf("day", 10));
  its.do("set_limit", limitOf("hour", 8, { per: "hour" }));
  its.do("set_limit", limitOf("soft", 1, { hard: false }));
  expect(its.try("reserve", { amount: 15, at_least: 9 })).toBe("LGLIM");
  its.do("reserve", { reservation_id: "r", amount: 15, at_least: 8 });
  expect(its.ledger.get("a")?.reservations.get("r")?.held).toBe(8n);
});

test("a combination may have an amount of its own; without any it is not limited", () => {
  const its = scene();
  its.do("set_limit", limitOf("user", null, { by: ["user"] }));
  its.do("set_limit_for", { limit_id: "user", values: ["ann"], amount: 2 });
  expect(its.try("charge", { amount: 3, metadata: { user: "ann" } })).toBe("LGLIM");
  expect(its.try("charge", { amount: 3, metadata: { user: "bob" } })).toBe("charged");
  its.do("set_limit_for", { limit_id: "user", values: ["ann"], amount: null });
  expect(its.try("charge", { amount: 3, metadata: { user: "ann" } })).toBe("charged");
});

test("of several obstacles the one that clears last is reported", () => {
  const its = scene(10);
  its.do("set_limit", limitOf("b-hour", 4, { per: "hour" }));
  its.do("set_limit", limitOf("c-hour", 4, { per: "hour" }));
  its.do("set_limit", limitOf("d-day", 5));
  its.do("charge", { amount: 3 });
  expect(its.why("charge", { amount: 2 })).toMatchObject({ limit_id: "b-hour" });
  expect(its.why("charge", { amount: 3 })).toMatchObject({ limit_id: "d-day" });
  // 5 and more never fit into an hour: the first by its id.
  expect(its.why("charge", { amount: 5 })).toMatchObject({ limit_id: "b-hour" });
  // Only a credit helps: funds come first.
  expect(its.try("charge", { amount: 8 })).toBe("LGNSF");
  its.do("reserve", { amount: 1, ttl: 60 });
  // 7 are held, for a minute: the limits that never let them through clear later.
  expect(its.try("charge", { amount: 7 })).toBe("LGLIM");
});

test("thresholds alert once in a window, by what was spent", () => {
  const its = scene();
  its.do("set_limit", limitOf("day", 10, { alert_at: [50, 80, 100], hard: false }));
  its.do("reserve", { reservation_id: "r", amount: 9 });
  expect(alerts(its)).toEqual([]);
  its.do("settle", { reservation_id: "r", amount: 8 });
  expect(alerts(its)).toEqual([
    [50n, 8n],
    [80n, 8n],
  ]);
  its.do("refund", { reservation_id: "r", amount: 8 });
  its.do("charge", { amount: 10 });
  expect(alerts(its)?.slice(2)).toEqual([[100n, 10n]]);
  its.at("2027-01-16T00:00:00");
  its.do("charge", { amount: 5 });
  expect(alerts(its)?.slice(3)).toEqual([[50n, 5n]]);
});

test("funds that fall below an amount alert, and again only after they were not below", () => {
  const its = scene(20);
  its.do("charge", { amount: 5 });
  its.do("set_low_balance", { amounts: [10, 18] });
  its.do("reserve", { reservation_id: "r", amount: 12 });
  expect(alerts(its)).toEqual([]);
  its.do("settle", { reservation_id: "r", amount: 6 });
  its.do("charge", { amount: 1 });
  expect(alerts(its)).toEqual([[10n, 9n]]);
  its.do("credit", { amount: 10 });
  its.do("charge", { amount: 10 });
  expect(alerts(its)?.slice(1)).toEqual([
    [10n, 8n],
    [18n, 8n],
  ]);
});

test("an existing limit keeps its window, its labels and what it counts", () => {
  const its = scene();
  its.do("set_limit", limitOf("day", 10));
  its.do("charge", { amount: 4 });
  expect(its.try("set_limit", limitOf("day", 3, { hard: false }))).toBe("limit_set");
  expect(use(its, "day", "2027-01-15T13:00:00")).toEqual([4n, 0n]);
  for (const [field, value] of Object.entries({
    per: "hour",
    by: ["x"],
    time_zone: "Asia/Tokyo",
  })) {
    expect(its.why("set_limit", limitOf("day", 3, { [field]: value }))).toEqual({ field });
  }
  its.do("remove_limit", { limit_id: "day" });
  its.do("set_limit", limitOf("day", 10));
  expect(use(its, "day", "2027-01-15T13:00:00")).toBeUndefined();
});
