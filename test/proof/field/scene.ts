// The field: a server, which may fail over to another one, the route and pooler to it, and clients.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createLedger } from "../../../src/client/ledger.ts";
import type { ServerOptions } from "../../../src/embedded/index.ts";
import { startWatchdog } from "../../../src/embedded/watchdog.ts";
import type { Random } from "../../../src/trace/index.ts";
import { NO_POOLER, type Pooler, startPooler } from "../../support/pooler.ts";
import { startWorkerProcess } from "../faults/processes.ts";
import { createStage, LOGIN, type Stage } from "../faults/stage.ts";
import { PATIENCE_MS } from "../faults/wait.ts";
import type { Wave } from "../faults/wave.ts";
import type { Client } from "./callers.ts";
import { createMeasure, type Measure } from "./measure.ts";
import { openRoute, type Route } from "./route.ts";

/** What faults are injected into; it stays from one fault to the next. */
export interface Field {
  /** The server that takes writes. */
  readonly stage: Stage;
  /** The options of its servers. */
  readonly options: ServerOptions;
  /** The route that all clients take to it. */
  readonly route: Route;
  /** Undefined where there is no PgBouncer. */
  readonly pooler: Pooler | undefined;
  readonly clients: readonly Client[];
  /** Addresses of the SQL callers: of a role without time-outs, and of one with. */
  readonly urls: readonly [plain: string, hurried: string];
  /** The roles of all callers. */
  readonly logins: readonly string[];
  readonly measure: Measure;
  /** A folder for what a fault needs, which is removed with the field. */
  readonly folder: string;
  /** Lets another server take the writes from now on. */
  moveTo(stage: Stage): void;
}

/** What a fault acts on. */
export interface FieldScene {
  readonly field: Field;
  readonly random: Random;
  readonly wave: Wave;
  /** The wallets that may be locked. */
  readonly shut: readonly string[];
}

const HURRIED = "proof_hurried";
/** Connections of a client: fewer than the wallets that are locked at the same time. */
export const CONNECTIONS = 5;
/** Longer than any fault lasts, so that each call must be answered. */
const RETRY_FOR = 90;
const CLOSING_MS = 5_000;

/** Sets up the field; `folder` belongs to it. */
export async function openField(
  folder: string,
  clearing: AsyncDisposableStack,
  options: ServerOptions = {},
): Promise<Field> {
  let stage = await createStage(options);
  clearing.defer(() => stage[Symbol.asyncDispose]());
  await stage.admin.unsafe(`
    create role ${HURRIED} login password 'secret'
      in role baseledger_operator, baseledger_auditor;
    alter role ${HURRIED} set statement_timeout = '2s';
    alter role ${HURRIED} set lock_timeout = '1s';`);
  const route = clearing.use(await openRoute(stage.url));
  const url = route.through(stage.url);
  const hurried = new URL(url);
  hurried.username = HURRIED;
  const pooler = NO_POOLER ? undefined : await startPooler(url, { size: 4, patience: PATIENCE_MS });
  if (pooler) clearing.use(pooler);
  const worker = await startWorkerProcess(url);
  clearing.defer(async () => void (await worker.kill()));

  const connect = (name: string, address: string): Client => {
    const ledger = createLedger(address, { connections: CONNECTIONS, retryFor: RETRY_FOR });
    return { name, ledger };
  };
  const clients = [
    connect("plain", url),
    connect("hurried", hurried.href),
    ...(pooler ? [connect("pooled", pooler.url)] : []),
  ];
  // Calls that still wait would wait for a server that is being stopped.
  clearing.defer(async () => {
    const closed = Promise.all(clients.map(({ ledger }) => ledger.close()));
    await Promise.race([closed, pause(CLOSING_MS, undefined, { ref: false })]);
  });
  return {
    get stage() {
      return stage;
    },
    options,
    route,
    pooler,
    clients,
    urls: [url, hurried.href],
    logins: [LOGIN, HURRIED],
    measure: createMeasure(),
    folder,
    moveTo(next) {
      stage = next;
      route.leadTo(next.url);
    },
  };
}

/** Creates a folder that is removed with `clearing`, and when this program ends, however it ends. */
export function createFolder(clearing: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "baseledger-field-"));
  // Servers may run as another user.
  chmodSync(folder, 0o755);
  const watchdog = startWatchdog(folder);
  clearing.defer(async () => {
    await watchdog.dismiss();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  return folder;
}
