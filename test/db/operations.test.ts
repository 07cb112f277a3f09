import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1 });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

test("an operation of a batch has the parameters of the function of its name as fields", async () => {
  const operations = await sql`
    select operation, array(select unnest(fields) order by 1) as fields
      from baseledger._batch_operations() order by 1`;
  const functions = await sql`
    select p.proname as operation, array(
          select 'op' union all
          select substr(a.name, 3) from unnest(p.proargnames) as a (name)
            where a.name <> 'p_wallet_id'
            order by 1
        ) as fields
      from pg_proc p
      where p.pronamespace = 'baseledger'::regnamespace
        and p.proname in (select operation from baseledger._batch_operations())
      order by 1`;
  expect(operations.length).toBeGreaterThan(0);
  expect([...functions]).toEqual([...operations]);
});

test.each(["post", "post_funds"])(
  "the comment of %s names the operations it takes",
  async (name) => {
    const [row] = await sql`
    select obj_description(${`baseledger.${name}`}::regproc, 'pg_proc') as text,
      array(
        select operation from baseledger._batch_operations()
          where not for_operators or ${name === "post_funds"}
      ) as operations`;
    const [, named = ""] = /@commands\(([^)]*)\)/.exec(row?.text) ?? [];
    expect(named.split(", ").sort()).toEqual(row?.operations.sort());
  },
);

test("agents may execute every operation that is not for operators only, and no other", async () => {
  const rows = await sql`
    select operation from baseledger._batch_operations()
      where for_operators = has_function_privilege('baseledger_agent',
        (select oid from pg_proc p
          where p.pronamespace = 'baseledger'::regnamespace and p.proname = operation), 'execute')`;
  expect([...rows]).toEqual([]);
});
