import {
  createIdempotencyKey,
  createLedger,
  formatAmount,
  LimitReachedError,
  parseAmount,
} from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly
const show = (amount: bigint) => `${formatAmount(amount, 9)} USD`;

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("100.00") });

// Operators set limits: each user may spend 5 dollars a day, each run 50 cents in all, and no user may
// have more than 2 calls under way at a time.
const forUsers = { walletId, by: ["user"] };
await ledger.setLimit({ ...forUsers, limitId: "user-day", amount: usd("5.00"), per: "day" });
await ledger.setLimit({ ...forUsers, limitId: "at-once", amount: 2n, per: "ever", of: "open" });
await ledger.setLimit({ walletId, limitId: "run", amount: usd("0.50"), per: "ever", by: ["run"] });

/** An agent that never comes to an end: only the limit of its run stops it. */
async function runAgent(run: string): Promise<number> {
  const labels = { user: "ann", run };
  for (let calls = 0; ; calls += 1) {
    try {
      await ledger.guard({ walletId, amount: usd("0.12"), labels }, async (reservation) => {
        reservation.spend(usd("0.08"));
      });
    } catch (error) {
      if (!(error instanceof LimitReachedError)) throw error;
      const { limitId, values, used, amount } = error;
      console.log(`${limitId} ${values} reached: ${show(used)} of ${show(amount)}`);
      return calls;
    }
  }
}
console.log(await runAgent("run-7"), "calls");

// Ten calls at once, of which two may be under way: with `wait`, the others get their turn.
const labels = { user: "ann", run: "run-8" };
const calls = Array.from({ length: 10 }, () =>
  ledger.guard({ walletId, amount: usd("0.05"), labels, wait: 30 }, async (reservation) => {
    reservation.spend(usd("0.01"));
  }),
);
await Promise.all(calls);

for (const { limitId, labelValues, used, remaining, of } of await ledger.limits({ walletId })) {
  const write = of === "amount" ? show : String;
  console.log(limitId, labelValues?.join(), "used", write(used), "left", write(remaining ?? 0n));
}

// A key opens the wallet for one user: whatever its holder says, its labels are those of the key.
const { secret } = await ledger.createKey({
  walletId,
  labels: { user: "bob" },
  freeLabels: ["run"],
});
const bob = createLedger(process.env.DATABASE_URL, { key: secret ?? "" });
const charged = await bob.charge({
  walletId,
  amount: usd("0.02"),
  metadata: { user: "ann", run: "run-9" },
});
console.log((await bob.reservation({ walletId, reservationId: charged.reservationId })).labels);
console.log(
  "bob sees",
  (await bob.limits({ walletId, limitId: "user-day" })).length,
  "of 2 counters",
);
await bob.close();
await ledger.close();
