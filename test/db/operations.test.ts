import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1 });
  await sql`select baseledger.open_wallet('w')`;
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

test("the comments of post, post_many and post_funds name the operations that they take", async () => {
  const [named] = await sql`
    select substring(obj_description('baseledger.post'::regproc, 'pg_proc')
        from '@commands\\((.*?)\\)') as post,
      substring(obj_description('baseledger.post_many'::regproc, 'pg_proc')
        from '@commands\\((.*?)\\)') as post_many,
      substring(obj_description('baseledger.post_funds'::regproc, 'pg_proc')
        from '@commands\\((.*?)\\)') as post_funds`;
  const [taken] = await sql`
    select string_agg(operation, ', ') filter (where not for_operators) as post,
      'post' as post_many,
      'post, ' || string_agg(operation, ', ') filter (where for_operators) as post_funds
    from baseledger._batch_operations()`;
  expect(named).toEqual(taken);
});

test("agents may execute every operation that is not for operators only, and no other", async () => {
  const rows = await sql`
    select operation from baseledger._batch_operations()
      where for_operators = has_function_privilege('baseledger_agent',
        (select oid from pg_proc p
          where p.pronamespace = 'baseledger'::regnamespace and p.proname = operation), 'execute')`;
  expect([...rows]).toEqual([]);
});

test("post_many takes what post takes, and a wallet besides", async () => {
  const codes = await sql<{ operation: string; one: string; many: string }[]>`
    select o.operation, one.refused || coalesce(one.detail ->> 'field', '') as one,
        many.refused || coalesce(many.detail ->> 'field', '') as many
      from baseledger._batch_operations() as o
      cross join lateral (select jsonb_build_object('op', o.operation) as command) as c
      cross join lateral baseledger.post('w', jsonb_build_array(c.command)) as one
      cross join lateral baseledger.post_many(
        jsonb_build_array(c.command || '{"wallet_id": "w"}')
      ) as many`;
  expect(codes.length).toBeGreaterThan(5);
  expect(codes.filter(({ one, many }) => one !== many)).toEqual([]);
});
