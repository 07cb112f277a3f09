// Who may use a wallet, and what closed ones let through.
import { expect, test } from "vitest";
import { AGENTS, OPERATOR, type Session, TEAM } from "./access.ts";
import { scene } from "./scene.ts";

const [ann, bob] = AGENTS.map((login): Session => ({ login, role: null, key: null })) as [
  Session,
  Session,
];
const hold = { reservation_id: "r", amount: 5 };

test("a restricted wallet is as good as none for who has no grant", () => {
  const its = scene(100, { restricted: true });
  expect(its.why("reserve", hold, ann)).toEqual({ wallet_id: "a" });
  expect(its.try("reserve", hold, ann)).toBe("LGWNF");
  expect(its.try("settle", { reservation_id: "r", amount: 1 }, ann)).toBe("LGWNF");
  expect(its.try("credit", { amount: 1 }, ann)).toBe("42501");
  expect(its.try("reserve", hold)).toBe("reserved");
  const commands = [{ op: "cancel", reservation_id: "r", idempotency_key: "c" }];
  expect(its.try("post", { commands }, ann)).toBe("LGWNF");
});

test("fixed labels win over chosen ones, and what may not be chosen is left out", () => {
  const its = scene();
  const grant = { role: ann.login, labels: { user: "ann" }, free_labels: ["run"] };
  its.do("allow", grant);
  const metadata = { user: "bob", run: "1", note: "x" };
  its.do("reserve", { ...hold, metadata }, ann);
  const opened = its.ledger.get("a")?.reservations.get("r")?.opened;
  expect(opened).toMatchObject({ actor: ann.login, metadata, labels: { user: "ann", run: "1" } });
  its.do("allow", { ...grant, free_labels: ["*"] });
  its.do("reserve", { ...hold, reservation_id: "s", metadata: { user: "ann", note: "x" } }, ann);
  expect(its.ledger.get("a")?.journal.at(-1)?.details).toBeNull();
});

test("who has fixed labels acts on what has them, or on what it has opened", () => {
  const its = scene();
  its.do("allow", { role: ann.login, labels: { user: "ann" }, free_labels: ["*"] });
  its.do("allow", { role: bob.login, labels: { user: "bob" }, free_labels: [] });
  its.do("reserve", { ...hold, idempotency_key: "k" }, ann);
  expect(its.try("cancel", { reservation_id: "r" }, bob)).toBe("LGRNF");
  expect(its.try("reserve", hold, bob)).toBe("LGRID");
  const reused = { amount: 1, idempotency_key: "k" };
  expect(its.why("charge", reused, bob)).toEqual({
    field: "idempotency_key",
    stored: null,
    given: null,
  });
  expect(its.why("charge", reused)).toMatchObject({ field: "op", stored: "reserve" });
  its.do("reserve", { ...hold, reservation_id: "s", metadata: { user: "bob" } });
  expect(its.try("cancel", { reservation_id: "s" }, bob)).toBe("cancelled");
});

test("who has opened a reservation may settle and repeat it after the grant is gone", () => {
  const its = scene();
  its.do("allow", { role: TEAM, labels: {}, free_labels: [] });
  const asTeam = { ...ann, role: TEAM };
  its.do("reserve", { ...hold, idempotency_key: "k" }, asTeam);
  its.do("disallow", { role: TEAM });
  expect(its.try("reserve", { ...hold, idempotency_key: "k" }, asTeam)).toBe("reserved");
  expect(its.try("reserve", { amount: 1 }, asTeam)).toBe("LGWNF");
  // Another role in effect is somebody else.
  expect(its.try("settle", { reservation_id: "r", amount: 1 }, ann)).toBe("LGWNF");
  const settle = { op: "settle", reservation_id: "r", amount: 1, idempotency_key: "s" };
  const commands = [settle, { op: "charge", amount: 1, idempotency_key: "c" }];
  expect(its.do("post", { commands }, asTeam)).toMatchObject([
    { event: { event: "settled", actor: `${ann.login} as ${TEAM}` } },
    { refused: "LGWNF" },
  ]);
});

test("a key comes before who the session is", () => {
  const its = scene();
  const created = { key: "k", labels: { user: "bot" }, free_labels: [], expires_at: null };
  its.do("create_key", created);
  const key = { wallet_id: "a", name: "k" };
  its.do("reserve", hold, { ...bob, key });
  const opened = its.ledger.get("a")?.reservations.get("r")?.opened;
  expect(opened?.actor).toBe(`${bob.login} with key key_3`);
  expect(opened?.labels).toEqual({ user: "bot" });
  const operator = { login: OPERATOR, role: null, key: "wrong" } as const;
  expect(its.try("reserve", { amount: 1 }, operator)).toBe("LGWNF");
  expect(its.try("credit", { amount: 1 }, operator)).toBe("credited");
  its.do("revoke_key", { key: "k" });
  expect(its.try("reserve", { amount: 1 }, { ...bob, key })).toBe("LGWNF");
  expect(its.try("settle", { reservation_id: "r", amount: 5 }, { ...bob, key })).toBe("settled");
});

test("a closed wallet lets real spending land, and funds out", () => {
  const its = scene(100, { overdraft_limit: 10 });
  its.do("reserve", { ...hold, ttl: 3600 });
  its.do("close_wallet", { reason: "why" });
  const refused = { reserve: hold, charge: { amount: 1 }, credit: { amount: 1 } };
  expect(its.try("reserve", hold)).toBe("LGRID");
  expect(its.try("reserve", { amount: 1 })).toBe("LGCLO");
  for (const name of ["charge", "credit"] as const) {
    expect(its.try(name, refused[name])).toBe("LGCLO");
  }
  expect(its.try("extend", { reservation_id: "r", ttl: 60, amount: 6 })).toBe("LGCLO");
  expect(its.try("extend", { reservation_id: "r", ttl: 60, amount: 4 })).toBe("extended");
  expect(its.try("allow", { role: ann.login, labels: {}, free_labels: [] })).toBe("LGCLO");
  expect(its.try("charge", { amount: 106, already_spent: true })).toBe("charged");
  expect(its.try("charge", { amount: 1, already_spent: true })).toBe("LGOVD");
  expect(its.try("settle", { reservation_id: "r", amount: 4 })).toBe("settled");
  expect(its.try("set_overdraft_limit", { overdraft_limit: 9 })).toBe("LGOVD");
  expect(its.try("set_overdraft_limit", { overdraft_limit: 10 })).toBe("overdraft_limit_set");
  expect(its.try("reopen_wallet", { reason: "why" })).toBe("reopened");
  expect(its.try("credit", { amount: 1 })).toBe("credited");
});
