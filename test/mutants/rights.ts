// Mistakes in who may do what, and in what protects the owner's rights and the tables.
import type { Mutant } from "./mutant.ts";

const PATH = "set search_path = pg_catalog, pg_temp\n";
const privileges = ["test/security/privileges.test.ts", "test/security/agent-funds.test.ts"];

/** A grant to one role more. */
function grant(what: string, name: string, to: string, also: string): Mutant {
  const kind = what === "view" ? "select on" : "execute on function";
  return {
    about: `${name} is open to ${also}, too`,
    of: name,
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
    of: "balance",
    search: "revoke all on function baseledger.balance from public;",
    replace: "grant execute on function baseledger.balance to public;",
    tests: privileges,
  },
  {
    about: "an auditor may write to a view",
    of: "journal",
    search: "grant select on baseledger.journal to",
    replace: "grant all on baseledger.journal to",
    tests: privileges,
  },
  {
    about: "a batch of an agent may credit",
    of: "post",
    search: "'{reserve,settle,cancel,extend,charge}'",
    replace: "'{reserve,settle,cancel,extend,charge,credit}'",
    tests: ["post.sql", ...privileges],
  },
];

const owner: Mutant[] = [
  {
    about: "post looks where its caller says",
    of: "post",
    search: PATH,
    replace: "",
    tests: ["test/security/hostile-session.test.ts"],
  },
  {
    about: "statement looks in public first",
    of: "statement",
    search: PATH,
    replace: "set search_path = public, pg_catalog, pg_temp\n",
    tests: ["test/security/hostile-session.test.ts"],
  },
  {
    about: "verify has an empty search path, and so finds the caller's types",
    of: "verify",
    search: PATH,
    replace: "set search_path = ''\n",
    tests: ["test/security/hostile-session.test.ts"],
  },
  {
    about: "a helper runs with the owner's rights by itself",
    of: "_sweep_wallets",
    search: "volatile\n",
    replace: `volatile\nsecurity definer\n${PATH}`,
    tests: privileges,
  },
];

const tables: Mutant[] = [
  {
    about: "the journal can be truncated",
    of: "events",
    search: "create trigger events_no_truncate before truncate on baseledger.events",
    replace: "",
    sql: "drop trigger events_no_truncate on baseledger.events",
    tests: ["tg_events__append_only.sql"],
  },
  {
    about: "events can be deleted",
    of: "events",
    search: "create trigger events_append_only before update or delete on baseledger.events",
    replace: "create trigger events_append_only before update on baseledger.events",
    sql: `drop trigger events_append_only on baseledger.events;
      create trigger events_append_only before update on baseledger.events
        for each row execute function baseledger.tg_events__append_only();
      alter table baseledger.events enable always trigger events_append_only`,
    tests: ["tg_events__append_only.sql"],
  },
  {
    about: "the journal can be changed by who plays a replica",
    of: "events",
    search: "alter table baseledger.events enable always trigger events_append_only;",
    replace: "",
    sql: "alter table baseledger.events enable trigger events_append_only",
    tests: ["test/db/tamper.test.ts"],
  },
  {
    about: "the journal can be truncated by who plays a replica",
    of: "events",
    search: "alter table baseledger.events enable always trigger events_no_truncate;",
    replace: "",
    sql: "alter table baseledger.events enable trigger events_no_truncate",
    tests: ["test/db/tamper.test.ts"],
  },
  {
    about: "a key may be stored twice",
    of: "events",
    search: "create unique index events_idempotency_key_idx on baseledger.events",
    replace: "create index events_idempotency_key_idx on baseledger.events",
    sql: `drop index baseledger.events_idempotency_key_idx;
      create index events_idempotency_key_idx on baseledger.events (wallet_id, idempotency_key)
        where idempotency_key is not null`,
    tests: ["test/db/sharding.test.ts", "test/db/tamper.test.ts"],
  },
  {
    about: "reservations have no index by id in the journal",
    of: "events",
    search: "create index events_reservation_id_idx on baseledger.events",
    replace: "",
    sql: "drop index baseledger.events_reservation_id_idx",
    tests: ["test/db/plans.test.ts"],
  },
  {
    about: "what is made later is open to the public",
    of: "privileges",
    search: "alter default privileges revoke execute on functions from public;",
    replace: "",
    sql: "alter default privileges grant execute on functions to public",
    tests: privileges,
  },
];

const CLOSED = "_require_operators_only";
const DIFFERENCES = "_find_rights_differences";
const restored = ["test/security/rights.test.ts"];
const found = ["verify_rights.sql"];

/** A function that does not look at its own rights. */
function careless(name: string, parameters: string): Mutant {
  return {
    about: `${name} runs for whoever a restore has let in`,
    of: name,
    search: `  perform baseledger._require_operators_only('baseledger.${name}(${parameters})');\n`,
    replace: "",
    tests: restored,
  };
}

const closed: Mutant[] = [
  careless("credit", "text,bigint,text,jsonb"),
  careless("open_wallet", "text,text,integer,bigint,jsonb"),
  careless("post_funds", "text,jsonb"),
  careless("transfer", "text,text,bigint,text,jsonb"),
  {
    about: "functions that add funds run as any owner",
    of: CLOSED,
    search: "current_user <> 'baseledger_owner'\n    or ",
    replace: "",
    tests: restored,
  },
  {
    about: "functions that add funds may be open to agents",
    of: CLOSED,
    search: "has_function_privilege('baseledger_agent', p_function, 'execute')\n    or ",
    replace: "",
    tests: restored,
  },
  {
    about: "functions that add funds may be open to workers",
    of: CLOSED,
    search: "\n    or has_function_privilege('baseledger_worker', p_function, 'execute')",
    replace: "",
    tests: restored,
  },
  {
    about: "verify does not look at rights",
    of: "verify",
    search: "  return query select * from baseledger.verify_rights();\n",
    replace: "",
    tests: found,
  },
  {
    about: "verify calls it unsound when somebody lacks a right",
    of: "verify_rights",
    search: "    where d.open\n",
    replace: "",
    tests: found,
  },
  {
    about: "a host may grant tables and helpers to its roles",
    of: DIFFERENCES,
    search: "        g.private or g.grantee",
    replace: "        g.grantee",
    tests: found,
  },
  {
    about: "nobody looks at the rights on columns",
    of: DIFFERENCES,
    search: "where n.nspname = 'baseledger' and a.grantee <> c.relowner",
    replace: "where false",
    tests: found,
  },
  {
    about: "anybody may be allowed to create in the schema",
    of: DIFFERENCES,
    search: "\n        or g.kind = 'schema' and g.privilege <> 'USAGE'",
    replace: "",
    tests: found,
  },
  {
    about: "operators may grant on what they may do",
    of: DIFFERENCES,
    search: "where g.is_grantable",
    replace: "where false",
    tests: found,
  },
  {
    about: "objects may belong to anybody",
    of: DIFFERENCES,
    search: "where pg_catalog.pg_get_userbyid(o.owner) <> 'baseledger_owner'",
    replace: "where false",
    tests: found,
  },
  {
    about: "the owner may log in",
    of: DIFFERENCES,
    search: "where r.rolname = 'baseledger_owner' and r.rolcanlogin",
    replace: "where false",
    tests: found,
  },
  {
    about: "the list of rights lacks one",
    of: "_expected_rights",
    search: "{expire_due,next_due,sweep_status,wallets_ahead}",
    replace: "{expire_due,sweep_status,wallets_ahead}",
    tests: found,
  },
];

export const guards: readonly Mutant[] = [...rights, ...owner, ...tables, ...closed];
