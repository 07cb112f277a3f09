// Who may do what, and what protects the owner's rights and the journal.
import type { Mistake, Rule } from "./mutant.ts";

const PATH = "set search_path = pg_catalog, pg_temp";
const privileges = ["test/security/privileges.test.ts", "test/security/agent-funds.test.ts"];

/** A function or view that one more role may use. */
function grant(name: string, to: string, also: string): Mistake {
  return {
    about: `${name} is open to ${also} as well`,
    of: name,
    search: `baseledger.${name} to ${to};`,
    replace: `baseledger.${name} to ${to}, ${also};`,
  };
}

/** A function that adds funds and does not check who may call it. */
function unchecked(name: string): Mistake {
  return {
    about: `${name} runs for whoever a restore has let in`,
    of: name,
    search: "perform baseledger._require_operators_only(",
    replace: "perform concat(",
  };
}

export const rights: readonly Rule[] = [
  {
    rule: "Each role may do what it needs, and no more",
    tests: privileges,
    mutants: [
      grant("credit", "baseledger_operator", "baseledger_agent"),
      grant("post_funds", "baseledger_operator", "baseledger_agent"),
      grant("unfreeze_wallet", "baseledger_operator", "baseledger_agent"),
      grant("refund", "baseledger_operator", "baseledger_agent"),
      grant("expire_due", "baseledger_worker", "baseledger_auditor"),
      grant("journal", "baseledger_auditor", "baseledger_agent"),
      grant("wallet_balances", "baseledger_auditor", "public"),
      {
        about: "_execute is open to agents",
        of: "_execute",
        search: "revoke all on function baseledger._execute from public;",
        replace: "grant execute on function baseledger._execute to baseledger_agent;",
      },
      {
        about: "everybody may read balances",
        of: "balance",
        search: "revoke all on function baseledger.balance from public;",
        replace: "grant execute on function baseledger.balance to public;",
      },
      {
        about: "an auditor may write to a view",
        of: "journal",
        search: "grant select on",
        replace: "grant all on",
      },
      {
        about: "a batch of an agent may credit",
        of: "_read_commands",
        search: "where p_for_operators or not b.for_operators",
        replace: "",
        tests: ["post.sql", ...privileges],
      },
      {
        about: "functions made later are open to the public",
        of: "privileges",
        search: "alter default privileges revoke execute on functions from public;",
        sql: "alter default privileges grant execute on functions to public",
      },
    ],
  },
  {
    rule: "Functions with the owner's rights look up nothing of their caller's",
    tests: ["test/security/hostile-session.test.ts"],
    mutants: [
      { about: "post looks where its caller says", of: "post", search: PATH, replace: "" },
      {
        about: "statement looks in public first",
        of: "statement",
        search: PATH,
        replace: "set search_path = public, pg_catalog, pg_temp",
      },
      {
        about: "verify has an empty search path, and so finds the caller's types",
        of: "verify",
        search: PATH,
        replace: "set search_path = ''",
      },
      {
        about: "a helper has the owner's rights by itself",
        of: "_sweep_wallets",
        search: "volatile",
        replace: `volatile security definer ${PATH}`,
        tests: privileges,
      },
    ],
  },
  {
    rule: "Nobody changes the journal",
    mutants: [
      {
        about: "the journal can be truncated",
        of: "events",
        search: "create trigger events_no_truncate",
        sql: "drop trigger events_no_truncate on baseledger.events",
        tests: ["events_append_only.sql"],
      },
      {
        about: "events can be deleted",
        of: "events",
        search: "create trigger events_append_only before update or delete",
        sql: `drop trigger events_append_only on baseledger.events;
          create trigger events_append_only before update on baseledger.events
            for each row execute function baseledger.tg_events__append_only();
          alter table baseledger.events enable always trigger events_append_only`,
        tests: ["events_append_only.sql"],
      },
      {
        about: "the journal can be changed in the role of a replica",
        of: "events",
        search: "enable always trigger events_append_only",
        sql: "alter table baseledger.events enable trigger events_append_only",
        tests: ["test/db/tamper.test.ts"],
      },
      {
        about: "the journal can be truncated in the role of a replica",
        of: "events",
        search: "enable always trigger events_no_truncate",
        sql: "alter table baseledger.events enable trigger events_no_truncate",
        tests: ["test/db/tamper.test.ts"],
      },
    ],
  },
  {
    rule: "Events have their indexes",
    mutants: [
      {
        about: "a key may be stored twice",
        of: "events",
        search: "create unique index events_idempotency_key_idx",
        sql: `drop index baseledger.events_idempotency_key_idx;
          create index events_idempotency_key_idx on baseledger.events (wallet_id, idempotency_key)
            where idempotency_key is not null`,
        tests: ["test/db/sharding.test.ts", "test/db/tamper.test.ts"],
      },
      {
        about: "reservations have no index by id in the journal",
        of: "events",
        search: "create index events_reservation_id_idx",
        sql: "drop index baseledger.events_reservation_id_idx",
        tests: ["test/db/plans.test.ts"],
      },
    ],
  },
  {
    rule: "What adds funds checks itself that only operators may call it",
    tests: ["test/security/rights.test.ts"],
    mutants: [
      ...["credit", "open_wallet", "post_funds", "transfer"].map(unchecked),
      {
        about: "functions that add funds run as any owner",
        of: "_require_operators_only",
        search: "current_user <> 'baseledger_owner' or",
        replace: "",
      },
      {
        about: "functions that add funds may be open to agents",
        of: "_require_operators_only",
        search: "has_function_privilege('baseledger_agent', p_function, 'execute') or",
        replace: "",
      },
      {
        about: "functions that add funds may be open to workers",
        of: "_require_operators_only",
        search: "or has_function_privilege('baseledger_worker', p_function, 'execute')",
        replace: "",
      },
    ],
  },
  {
    rule: "verify reports rights that should not be there",
    tests: ["verify_rights.sql"],
    mutants: [
      {
        about: "verify does not check rights",
        of: "verify",
        search: "return query select * from baseledger.verify_rights();",
        replace: "",
      },
      {
        about: "verify reports a missing right as unsound",
        of: "verify_rights",
        search: "where d.open",
        replace: "",
      },
      {
        about: "a host may grant tables and helpers to its roles",
        of: "_find_rights_differences",
        search: "g.private or",
        replace: "",
      },
      {
        about: "rights on columns are not checked",
        of: "_find_rights_differences",
        search: "where n.nspname = 'baseledger' and a.grantee <> c.relowner",
        replace: "where false",
      },
      {
        about: "everybody may create in the schema",
        of: "_find_rights_differences",
        search: "or g.kind = 'schema' and g.privilege <> 'USAGE'",
        replace: "",
      },
      {
        about: "grant options are not checked",
        of: "_find_rights_differences",
        search: "where g.is_grantable",
        replace: "where false",
      },
      {
        about: "objects may belong to anybody",
        of: "_find_rights_differences",
        search: "pg_catalog.pg_get_userbyid(o.owner) <> 'baseledger_owner'",
        replace: "false",
      },
      {
        about: "the owner may log in",
        of: "_find_rights_differences",
        search: "r.rolname = 'baseledger_owner' and r.rolcanlogin",
        replace: "false",
      },
      {
        about: "the list of rights lacks one",
        of: "_expected_rights",
        search: "expire_due,next_due,",
        replace: "expire_due,",
      },
    ],
  },
];
