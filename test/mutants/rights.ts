// Mistakes in who may do what, and in what protects the owner's rights and the tables.
import type { Mutant } from "./mutant.ts";

const MIGRATION = "migrations/committed/000001-the-ledger.sql";
const PATH = "set search_path = pg_catalog, pg_temp\n";
const privileges = ["test/privileges.test.ts", "test/agent-funds.test.ts"];

/** A grant to one role more. */
function grant(what: string, name: string, to: string, also: string): Mutant {
  const [kind, folder] =
    what === "view" ? ["select on", "views"] : ["execute on function", "functions"];
  return {
    about: `${name} is open to ${also}, too`,
    file: `${folder}/${name}.sql`,
    search: `grant ${kind} baseledger.${name} to ${to};`,
    replace: `grant ${kind} baseledger.${name} to ${to}, ${also};`,
    tests: privileges,
  };
}

const rights: Mutant[] = [
  grant("function", "credit", "baseledger_operator", "baseledger_agent"),
  grant("function", "post_funds", "baseledger_operator", "baseledger_agent"),
  grant("function", "unfreeze_wallet", "baseledger_operator", "baseledger_agent"),
  grant("function", "refund", "baseledger_operator", "baseledger_agent"),
  grant("function", "expire_due", "baseledger_worker", "baseledger_auditor"),
  grant("view", "journal", "baseledger_auditor", "baseledger_agent"),
  grant("view", "wallet_balances", "baseledger_auditor", "public"),
  {
    about: "anybody may read balances",
    file: "functions/balance.sql",
    search: "revoke all on function baseledger.balance from public;",
    replace: "grant execute on function baseledger.balance to public;",
    tests: privileges,
  },
  {
    about: "an auditor may write to a view",
    file: "views/journal.sql",
    search: "grant select on baseledger.journal to",
    replace: "grant all on baseledger.journal to",
    tests: privileges,
  },
  {
    about: "a batch of an agent may credit",
    file: "functions/post.sql",
    search: "'{reserve,settle,cancel,extend,charge}'",
    replace: "'{reserve,settle,cancel,extend,charge,credit}'",
    tests: ["post.sql", ...privileges],
  },
];

const owner: Mutant[] = [
  {
    about: "post looks where its caller says",
    file: "functions/post.sql",
    search: PATH,
    replace: "",
    tests: ["test/hostile-session.test.ts"],
  },
  {
    about: "statement looks in public first",
    file: "functions/statement.sql",
    search: PATH,
    replace: "set search_path = public, pg_catalog, pg_temp\n",
    tests: ["test/hostile-session.test.ts"],
  },
  {
    about: "verify has an empty search path, and so finds the caller's types",
    file: "functions/verify.sql",
    search: PATH,
    replace: "set search_path = ''\n",
    tests: ["test/hostile-session.test.ts"],
  },
  {
    about: "a helper runs with the owner's rights by itself",
    file: "functions/_sweep.sql",
    search: "volatile\n",
    replace: `volatile\nsecurity definer\n${PATH}`,
    tests: privileges,
  },
];

const tables: Mutant[] = [
  {
    about: "the journal can be truncated",
    file: MIGRATION,
    search: "create trigger events_no_truncate before truncate on baseledger.events",
    replace: "",
    sql: "drop trigger events_no_truncate on baseledger.events",
    tests: ["events_append_only.sql"],
  },
  {
    about: "events can be deleted",
    file: MIGRATION,
    search: "create trigger events_append_only before update or delete on baseledger.events",
    replace: "create trigger events_append_only before update on baseledger.events",
    sql: `drop trigger events_append_only on baseledger.events;
      create trigger events_append_only before update on baseledger.events
        for each row execute function baseledger.tg_events__append_only();
      alter table baseledger.events enable always trigger events_append_only`,
    tests: ["events_append_only.sql"],
  },
  {
    about: "the journal can be changed by who plays a replica",
    file: MIGRATION,
    search: "alter table baseledger.events enable always trigger events_append_only;",
    replace: "",
    sql: "alter table baseledger.events enable trigger events_append_only",
    tests: ["test/tamper.test.ts"],
  },
  {
    about: "the journal can be truncated by who plays a replica",
    file: MIGRATION,
    search: "alter table baseledger.events enable always trigger events_no_truncate;",
    replace: "",
    sql: "alter table baseledger.events enable trigger events_no_truncate",
    tests: ["test/tamper.test.ts"],
  },
  {
    about: "a key may be stored twice",
    file: MIGRATION,
    search: "create unique index events_idempotency_key_idx on baseledger.events",
    replace: "create index events_idempotency_key_idx on baseledger.events",
    sql: `drop index baseledger.events_idempotency_key_idx;
      create index events_idempotency_key_idx on baseledger.events (wallet_id, idempotency_key)
        where idempotency_key is not null`,
    tests: ["test/sharding.test.ts", "test/tamper.test.ts"],
  },
  {
    about: "reservations have no index by id in the journal",
    file: MIGRATION,
    search: "create index events_reservation_id_idx on baseledger.events",
    replace: "",
    sql: "drop index baseledger.events_reservation_id_idx",
    tests: ["test/plans.test.ts"],
  },
  {
    about: "what is made later is open to the public",
    file: MIGRATION,
    search: "alter default privileges revoke execute on functions from public;",
    replace: "",
    sql: "alter default privileges grant execute on functions to public",
    tests: privileges,
  },
];

export const guards: readonly Mutant[] = [...rights, ...owner, ...tables];
