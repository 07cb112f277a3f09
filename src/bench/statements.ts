import type postgres from "postgres";
import type { Statement } from "./wire.ts";
import { HOT, walletId } from "./workload.ts";

/*
 * The statements that people write today, to measure against, and the ledger's functions as a
 * service in any language calls them: prepared, with text parameters.
 */

/** Takes an amount if it is there, and logs that: no reservation, no idempotency, no audit. */
export const SPEND: Statement = {
  text: `with taken as (
      update balances set balance = balance - $2::bigint
        where id = $1 and balance >= $2::bigint
        returning id
    ) insert into balance_log (id, amount) select id, $2::bigint from taken`,
  tag: "INSERT 0 1",
};

/** The same for so many amounts of a wallet at once: all of them, or none. */
export function spendMany(count: number): Statement {
  return {
    text: `with asked as (
        select amount from unnest(string_to_array($2, ',')::bigint[]) as amount
      ), needed as (
        select sum(amount)::bigint as total from asked
      ), taken as (
        update balances set balance = balance - total
          from needed
          where id = $1 and balance >= total
          returning id
      ) insert into balance_log (id, amount) select id, amount from taken, asked`,
    tag: `INSERT 0 ${count}`,
  };
}

/** The same by locking and reading first, so that the program can decide. */
export const UNDER_LOCK = {
  begin: { text: "begin", tag: "BEGIN" },
  read: { text: "select balance from balances where id = $1 for update", tag: "SELECT 1" },
  spend: {
    text: `with taken as (
        update balances set balance = balance - $2::bigint where id = $1 returning id
      ) insert into balance_log (id, amount) select id, $2::bigint from taken`,
    tag: "INSERT 0 1",
  },
  commit: { text: "commit", tag: "COMMIT" },
} satisfies Record<string, Statement>;

/** Reserves by a call of its own, for an hour; a refusal raises. */
export const RESERVE: Statement = {
  text: `select seq from baseledger.reserve(p_wallet_id => $1, p_amount => $2,
    p_idempotency_key => $3, p_ttl => '1 hour')`,
  tag: "SELECT 1",
};

/** Settles by a call of its own; a refusal raises. */
export const SETTLE: Statement = {
  text: `select seq from baseledger.settle(p_wallet_id => $1, p_reservation_id => $2,
    p_amount => $3, p_idempotency_key => $4)`,
  tag: "SELECT 1",
};

/** Posts a batch of so many commands, and reads of each receipt whether it is a refusal. */
export function post(count: number): Statement {
  return {
    text: "select refused from baseledger.post(p_wallet_id => $1, p_commands => $2::text::jsonb)",
    tag: `SELECT ${count}`,
    nullRows: true,
  };
}

/** The same in several wallets. */
export function postMany(count: number): Statement {
  return {
    text: "select refused from baseledger.post_many(p_commands => $1::text::jsonb)",
    tag: `SELECT ${count}`,
    nullRows: true,
  };
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

/** Sends one of the statements from this program, without parsing its rows. */
async function send(
  sql: postgres.Sql | postgres.TransactionSql,
  statement: string,
  values: string[],
): Promise<readonly unknown[] & { readonly count: number }> {
  return sql.unsafe(statement, values, { prepare: true }).raw();
}

/** Spends by the naive statement. */
export async function spendNaively(sql: postgres.Sql, wallet: string, amount: string) {
  const { count } = await send(sql, SPEND.text, [wallet, amount]);
  expectDone(count, 1);
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

/** Posts a batch. */
export async function postBatch(
  sql: postgres.Sql | postgres.TransactionSql,
  wallet: string,
  commands: readonly BatchCommand[],
) {
  const values = [wallet, JSON.stringify(commands)];
  const receipts = (await send(sql, post(commands.length).text, values)) as readonly [unknown][];
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
