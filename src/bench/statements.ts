import type postgres from "postgres";

// SQL that is no part of the ledger: the statement that people write today, to measure against, and
// a batch as a service in any language sends it.

/** Makes the tables of the naive statement, with a row for each of the wallets. */
export async function prepareNaive(sql: postgres.Sql, wallets: readonly string[]): Promise<void> {
  await sql`create table balances (id text primary key, balance bigint not null)`;
  await sql`create table balance_log (
    log_id bigint generated always as identity primary key, id text not null,
    amount bigint not null, at timestamptz not null default now())`;
  await sql`insert into balances
    select id, 1000000000000 from unnest(${sql.array([...wallets])}::text[]) as id`;
}

/** One conditional update with a log row: no reservation, no idempotency, no audit. */
export async function spendNaively(sql: postgres.Sql, wallet: string): Promise<void> {
  await sql`with u as (
    update balances set balance = balance - 10 where id = ${wallet} and balance >= 10 returning id
  ) insert into balance_log (id, amount) select id, 10 from u`;
}

/** Posts a batch, and reads of each receipt whether it is a refusal. Returns how many are none. */
export async function postBatch(
  sql: postgres.Sql,
  wallet: string,
  commands: readonly unknown[],
): Promise<number> {
  const receipts = await sql<{ refused: string | null }[]>`
    select refused from baseledger.post(${wallet}, ${JSON.stringify(commands)}::text::jsonb)`;
  return receipts.filter(({ refused }) => refused === null).length;
}

/** Lets every table be as after a while of work. */
export async function settleDown(sql: postgres.Sql): Promise<void> {
  await sql.unsafe("vacuum analyze");
}
