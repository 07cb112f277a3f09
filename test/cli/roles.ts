import { expect } from "vitest";
import { credit, openWallet } from "../../src/generated/index.ts";
import { baseledger, type Ended } from "../support/cli.ts";
import type { Role, TestLedger } from "../support/ledger.ts";

/** The program, run with the logins of the roles. */
export interface Roles {
  as(role: Role, ...args: string[]): Promise<Ended>;
  /** Runs a command that succeeds; what it prints as JSON. */
  json(role: Role, ...args: string[]): ReturnType<typeof JSON.parse>;
  /** libpq's variables of a login. */
  environmentOf(role: Role): Record<string, string>;
  /** A wallet with 10 dollars, which may be there already. */
  tenDollars(walletId: string): Promise<string>;
}

export function createRoles(ledger: TestLedger): Roles {
  const environmentOf = (role: Role): Record<string, string> => {
    const { database, host, pass, port, user } = ledger[role as "agent"].options;
    const [PGHOST = "", PGPORT] = [host[0], port[0]];
    return {
      PGHOST,
      PGPORT: String(PGPORT),
      PGUSER: user,
      PGPASSWORD: String(pass),
      PGDATABASE: database,
    };
  };
  const as = (role: Role, ...args: string[]) => baseledger(args, environmentOf(role));
  return {
    as,
    environmentOf,
    json: async (role, ...args) => {
      const { code, stdout, stderr } = await as(role, ...args, "--json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return JSON.parse(stdout);
    },
    tenDollars: async (walletId) => {
      await openWallet(ledger.operator, { walletId });
      const terms = { walletId, amount: 10_000_000_000n, idempotencyKey: "c" };
      await credit(ledger.operator, terms);
      return walletId;
    },
  };
}
