import type postgres from "postgres";
import { HOT, walletId } from "./workload.ts";

/*
 * The statements that people write today, to measure against, and the ledger's functions as a
 * service in any language calls them.
 *
 * Every workload sends its statements in the same way, so that none has a lighter client than the
 * others: prepared, with text parameters, on a connection of its own, and without parsing its rows.
 * The client shares the processors with the server: the lighter it is, the more a ratio says about
 * the server's work, and the worse it is for us.
 */
async function send(
  sql: postgres.Sql | postgres.TransactionSql,
  statement: string,
  values: string[],
): Promise<readonly unknown[] & { readonly count: number }> {
  return sql.unsafe(statement, values, { prepare: true }).raw();
}

/** What each wallet of the naive tables holds: more than a run can spend. */
const BALANCE = "1000000000000000";

/** Makes the tables of the naive statements, for a login to work on. */
export async function makeNaiveTables(sql: postgres.Sql, login: string): Promise<void> {
  await sql.unsafe(`
    create table balances (id text primary key, balance bigint not null);
    create table balance_log (
      log_id bigint generated always as identity primary key, id text not null,
      amount bigint not null, at timestamptz not null default now());
    grant select, insert, update on balances, balance_log to ${login}`);
}

/** Gives a balance to as many wallets, and to the hot one. */
export async function fillNaiveTables(sql: postgres.Sql, wallets: number): Promise<void> {
  const ids = [HOT, ...Array.from({ length: wallets }, (_, index) => walletId(index))];
  await sql`insert into balances
    select id, ${BALANCE}::bigint from unnest(string_to_array(${ids.join()}, ',')) as id`;
}

/** Changes every balance once, for the reason that `touchWallets` gives. */
export async function touchNaiveTables(sql: postgres.Sql): Promise<void> {
  await sql.unsafe("update balances set balance = balance - 1");
  await sql.unsafe("vacuum balances");
}

/** Takes an amount if it is there, and logs that: no reservation, no idempotency, no audit. */
export async function spendNaively(sql: postgres.Sql, wallet: string, amount: string) {
  const { count } = await send(
    sql,
    `with taken as (
      update balances set balance = balance - $2::bigint
        where id = $1 and balance >= $2::bigint
        returning id
    ) insert into balance_log (id, amount) select id, $2::bigint from taken`,
    [wallet, amount],
  );
  expectDone(count, 1);
}

/** The same for so many amounts of a wallet at once: all of them, or none. */
export async function spendManyNaively(sql: postgres.Sql, wallet: string, amounts: string[]) {
  const { count } = await send(
    sql,
    `with asked as (
      select amount from unnest(string_to_array($2, ',')::bigint[]) as amount
    ), needed as (
      select sum(amount)::bigint as total from asked
    ), taken as (
      update balances set balance = balance - total
        from needed
        where id = $1 and balance >= total
        returning id
    ) insert into balance_log (id, amount) select id, amount from taken, asked`,
    [wallet, amounts.join()],
  );
  expectDone(count, amounts.length);
}

/**
 * Locks and reads, decides in the program, then writes: two round trips in one transaction. The
 * begin is sent with the first of them and the commit with the second.
 */
export async function spendUnderLock(sql: postgres.Sql, wallet: string, amount: string) {
  const [, [balance]] = await Promise.all([
    send(sql, "begin", []),
    send(sql, "select balance from balances where id = $1 for update", [wallet]),
  ]);
  const isEnough = BigInt(String((balance as readonly unknown[])[0])) >= BigInt(amount);
  const [{ count }] = await Promise.all([
    send(
      sql,
      `with taken as (
        update balances set balance = balance - $2::bigint where id = $1 returning id
      ) insert into balance_log (id, amount) select id, $2::bigint from taken`,
      [wallet, isEnough ? amount : "0"],
    ),
    send(sql, "commit", []),
  ]);
  expectDone(isEnough ? count : 0, 1);
}

/** Reserves by a call of its own, for an hour; a refusal raises. */
export async function reserveSingly(sql: postgres.Sql, wallet: string, amount: string, id: string) {
  await send(
    sql,
    `select seq from baseledger.reserve(p_wallet_id => $1, p_amount => $2,
      p_idempotency_key => $3, p_ttl => '1 hour')`,
    [wallet, amount, id],
  );
}

/** Settles by a call of its own; a refusal raises. */
export async function settleSingly(sql: postgres.Sql, wallet: string, amount: string, id: string) {
  await send(
    sql,
    `select seq from baseledger.settle(p_wallet_id => $1, p_reservation_id => $2,
      p_amount => $3, p_idempotency_key => $4)`,
    [wallet, id, amount, `${id}-cost`],
  );
}

/** A command of a batch. */
export interface BatchCommand {
  readonly op: "reserve" | "settle";
  readonly idempotency_key: string;
  readonly reservation_id?: string;
  /** As text: a JSON number of this program would not be exact. */
  readonly amount: string;
  readonly ttl?: number;
}

/** Posts a batch, and reads of each receipt whether it is a refusal. */
export async function postBatch(
  sql: postgres.Sql | postgres.TransactionSql,
  wallet: string,
  commands: readonly BatchCommand[],
) {
  const receipts = (await send(
    sql,
    "select refused from baseledger.post(p_wallet_id => $1, p_commands => $2::text::jsonb)",
    [wallet, JSON.stringify(commands)],
  )) as readonly (readonly unknown[])[];
  const granted = receipts.filter(([refused]) => refused === null).length;
  expectDone(granted, commands.length);
}

/** Sweeps once, as the worker does, and returns how many reservations have expired. */
export async function sweepOnce(sql: postgres.Sql): Promise<number> {
  const rows = await send(sql, "select baseledger.expire_due()", []);
  return Number(String((rows[0] as readonly unknown[])[0]));
}

// There are always enough funds; otherwise refusals would be measured.
function expectDone(done: number, asked: number): void {
  if (done !== asked) throw new Error(`the bench asked for ${asked}, and ${done} were done`);
}
