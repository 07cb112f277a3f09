import {
  call,
  command,
  createLedger,
  loginOf,
  openWallet,
  type TestLedger,
  travelBack,
} from "./ledger.ts";

/**
 * A ledger with every kind of event in wallet `a`; `b` takes part in its transfers, `c` in none. Wallet
 * `limited` has limits and counters, `priced` events with usage.
 */
export async function createFullJournal(): Promise<TestLedger> {
  const ledger = await createLedger();
  for (const id of ["a", "b", "c"]) await openWallet(ledger, id, 1000n, { overdraft_limit: 500n });
  const agent = (name: string, args: Parameters<typeof command>[2]) =>
    command(ledger.agent, name, { wallet_id: "a", ...args });
  const operator = (name: string, args: Parameters<typeof command>[2]) =>
    command(ledger.operator, name, { wallet_id: "a", ...args });
  await agent("reserve", { amount: 100n, idempotency_key: "late", ttl: "1 minute" });
  await agent("reserve", { amount: 10n, idempotency_key: "lost", ttl: "1 minute" });
  await travelBack(ledger, "a", "1 hour");
  await agent("settle", { reservation_id: "late", amount: 50n, idempotency_key: "settle late" });
  await agent("reserve", { amount: 100n, idempotency_key: "r1", metadata: { model: "small" } });
  await agent("settle", { reservation_id: "r1", amount: 40n, idempotency_key: "s1", final: false });
  await agent("extend", { reservation_id: "r1", ttl: "1 day", idempotency_key: "e1", amount: 80n });
  await agent("settle", { reservation_id: "r1", amount: 90n, idempotency_key: "s2" });
  await agent("reserve", { amount: 30n, idempotency_key: "r2" });
  await agent("cancel", { reservation_id: "r2", idempotency_key: "c2" });
  await agent("charge", { amount: 20n, idempotency_key: "ch" });
  await operator("refund", { reservation_id: "ch", amount: 5n, idempotency_key: "rf" });
  await operator("withdraw", { amount: 50n, idempotency_key: "w" });
  await operator("freeze_wallet", { reason: "stop" });
  await operator("unfreeze_wallet", { reason: "go" });
  const transfer = { from: "a", to: "b", amount: 25n, idempotency_key: "t" };
  await call(ledger.operator, "transfer", transfer);
  await call(ledger.operator, "transfer", { ...transfer, from: "b", to: "a", amount: 5n });
  await agent("reserve", { amount: 70n, idempotency_key: "open", ttl: "1 day" });
  await agent("reserve", { amount: 60n, idempotency_key: "open too", ttl: "2 days" });
  await agent("settle", { reservation_id: "open", amount: 9n, idempotency_key: "p", final: false });
  await agent("charge", { amount: 3n, idempotency_key: "spent", already_spent: true });
  await operator("set_overdraft_limit", { overdraft_limit: 400n });
  await operator("allow", { role: loginOf("agent"), labels: { team: "x" }, free_labels: "{run}" });
  await operator("allow", { role: "baseledger_agent" });
  await operator("disallow", { role: "baseledger_agent" });
  await call(ledger.operator, "create_key", { wallet_id: "a", labels: { user: "ann" } });
  await call(ledger.operator, "create_key", { wallet_id: "a", expires_at: "2100-01-01" });
  const [key] = await ledger.operator<{ key_id: string }[]>`
    select key_id from baseledger.list_keys('a') where expires_at is null`;
  await operator("revoke_key", { key_id: key?.key_id });
  await operator("set_limit", { limit_id: "day", amount: 1000n, per: "day" });
  await operator("set_limit", { limit_id: "gone", amount: 1000n, per: "month" });
  await operator("set_limit", { limit_id: "run", amount: 1000n, per: "ever", by: "{run}" });
  await operator("set_limit_for", { limit_id: "run", values: "{7}", amount: 500n });
  await operator("remove_limit", { limit_id: "gone" });
  await operator("set_low_balance", { amounts: "{100,10}" });
  await operator("close_wallet", { reason: "end" });
  await operator("reopen_wallet", { reason: "go on" });
  await fillLimited(ledger);
  await fillPriced(ledger);
  await operator("credit", { amount: 1n, idempotency_key: "last" });
  return ledger;
}

async function fillLimited(ledger: TestLedger): Promise<void> {
  await openWallet(ledger, "limited", 1000n);
  await ledger.operator`
    select baseledger.set_limit('limited', 'day', 100, 'day', '{user}', p_alert_at => '{50}'),
      baseledger.set_limit_for('limited', 'day', '{ann}', 200),
      baseledger.set_limit('limited', 'calls', 50, 'month', '{}', 'calls'),
      baseledger.set_limit('limited', 'open', 5, 'ever', '{user}', 'open'),
      baseledger.set_low_balance('limited', '{10,5000}')`;
  await ledger.agent`
    select baseledger.charge('limited', 60, 'c1', p_metadata => '{"user": "ann"}'),
      baseledger.charge('limited', 10, 'c2', p_metadata => '{"user": "bob"}'),
      baseledger.reserve('limited', 20, 'r1', '1 day', p_metadata => '{"user": "ann"}')`;
  await ledger.operator`select baseledger.refund('limited', 'c1', 5, 'rf')`;
}

async function fillPriced(ledger: TestLedger): Promise<void> {
  await openWallet(ledger, "priced", 1_000_000n);
  await ledger.operator`
    select baseledger.set_price('openai/gpt-5', '{"input": 1250000000, "output": 10000000000}'),
      baseledger.set_price('openai/gpt-5', '{"input": 1, "output": 1}', 'batch')`;
  await ledger.agent`
    select baseledger.reserve('priced', null, 'r',
        p_usage => '{"model": "openai/gpt-5", "input": 20, "output": 30}'),
      baseledger.settle('priced', 'r', null, 's', p_usage => '{"input": 20, "output": 7}'),
      baseledger.charge('priced', 5, 'c')`;
}
