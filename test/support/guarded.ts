import { call, createLedger, loginOf, openWallet, post, type TestLedger } from "./ledger.ts";

/**
 * A ledger for tests that try to break into it: a wallet `w` with reservations in each state, a wallet
 * `other`, one that is restricted to others (`theirs`), and logins that may create objects of their own.
 */
export async function createGuarded(): Promise<TestLedger> {
  const ledger = await createLedger();
  await openWallet(ledger, "w", 1000n);
  await openWallet(ledger, "other", 1000n);
  await post(ledger.agent, "w", [
    { op: "reserve", idempotency_key: "open", amount: 100, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50 },
    { op: "reserve", idempotency_key: "done", amount: 20 },
    { op: "settle", idempotency_key: "settle done", reservation_id: "done", amount: 20 },
    { op: "reserve", idempotency_key: "gone", amount: 20 },
    { op: "cancel", idempotency_key: "cancel gone", reservation_id: "gone" },
  ]);
  await post(ledger.agent, "other", [{ op: "reserve", idempotency_key: "theirs", amount: 500 }]);
  await openWallet(ledger, "theirs", 1000n);
  await call(ledger.operator, "allow", { wallet_id: "theirs", role: "baseledger_worker" });
  await call(ledger.operator, "create_key", { wallet_id: "theirs" });
  // With an alert, for the view.
  await call(ledger.operator, "set_low_balance", { wallet_id: "theirs", amounts: "{900}" });
  const taken = { wallet_id: "theirs", amount: 200n, idempotency_key: "taken" };
  await call(ledger.operator, "withdraw", taken);
  await call(ledger.operator, "set_price", { model: "openai/gpt-5", rates: { input: 1250000000 } });
  await call(ledger.operator, "charge", {
    wallet_id: "theirs",
    amount: null,
    idempotency_key: "priced",
    usage: { model: "openai/gpt-5", input: 0 },
  });
  // Agents may create objects of their own.
  await ledger.admin.unsafe(`
    grant create on schema public to public;
    create table public.owned (id text);
    alter table public.owned owner to ${loginOf("agent")}`);
  return ledger;
}
