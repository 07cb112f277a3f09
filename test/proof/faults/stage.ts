// A small server that restarts quickly, with the ledger in it.
import type postgres from "postgres";
import type { Server, ServerOptions } from "../../../src/embedded/index.ts";
import { stringifyJson } from "../../../src/json/index.ts";
import { install } from "../../support/template.ts";
import { startServer } from "../servers.ts";
import { PRICES } from "./prices.ts";
import { connectSql } from "./send.ts";

/** The server of a history. */
export interface Stage extends AsyncDisposable {
  readonly server: Server;
  /** The address that clients and workers use. */
  readonly url: string;
  /** A superuser's connection. */
  readonly admin: postgres.Sql;
}

/** The login of clients and workers. */
export const LOGIN = "proof_client";
/** Settings of a server that starts quickly. */
export const SMALL = { shared_buffers: "16MB", max_connections: "80", max_wal_size: "64MB" };

/** Starts a server with a migrated database, and a login with all rights of a host's. */
export async function createStage(options: ServerOptions = {}): Promise<Stage> {
  const settings = { ...SMALL, ...options.settings };
  const server = await startServer({ ...options, settings });
  try {
    await install(server.url);
    return await setStage(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function setStage(server: Server): Promise<Stage> {
  const stage = stageOn(server);
  await stage.admin.unsafe(`
    create role ${LOGIN} login password 'secret'
      in role baseledger_operator, baseledger_auditor, baseledger_worker;
    grant create on database postgres to ${LOGIN};`);
  await stage.admin`select baseledger.set_prices(${stringifyJson(PRICES)}::text::jsonb)`;
  return stage;
}

/** The stage on a server that has the ledger and the login already. */
export function stageOn(server: Server): Stage {
  const admin = connectSql(server.url);
  const url = new URL(server.url);
  url.username = LOGIN;
  url.password = "secret";
  return {
    server,
    url: url.href,
    admin,
    async [Symbol.asyncDispose]() {
      await admin.end({ timeout: 0 });
      await server.stop();
    },
  };
}
