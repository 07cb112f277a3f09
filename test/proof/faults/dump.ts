// A dump taken under load and restored into an empty server: the ledger at one moment.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../../../src/embedded/index.ts";
import type { Installed } from "../../support/installed.ts";
import { startServer } from "../servers.ts";
import type { Sent } from "./history.ts";
import { type Entry, readJournal } from "./journal.ts";
import { format, isRequested } from "./replay.ts";
import { connectSql, sendSql } from "./send.ts";
import { isReceiptOf, nameOf, sendingsOf } from "./sendings.ts";
import { createStage } from "./stage.ts";
import { playWave } from "./wave.ts";

export interface RestoreParts {
  readonly installed: Installed;
  readonly folder: string;
  readonly name: string;
  readonly seed: number;
}

const CROWD = { bySql: 4, callers: 6, sweepers: 1 };

/** Dumps and restores in both formats, plain and custom. */
export async function restoreDump({ installed, folder, name, seed }: RestoreParts) {
  await using stage = await createStage({ package: installed.package });
  const files = { custom: join(folder, "custom"), plain: join(folder, "plain") };
  let before: Sent[] = [];
  const played = await playWave(stage, { ...CROWD, name, seed }, async (wave) => {
    await wave.answers(150);
    before = wave.history.calls.filter(({ answered }) => answered);
    await installed.tool("pg_dump", ["-d", stage.server.url, "-Fc", "-f", files.custom]);
    await installed.tool("pg_dump", ["-d", stage.server.url, "-f", files.plain]);
    await wave.answers(30);
  });
  const wallets = [...played.heads.keys()];
  const journal = await readJournal(stage.admin, wallets);
  const roles = join(folder, "roles");
  const dumped = await installed.tool("pg_dumpall", ["-d", stage.server.url, "--roles-only"]);
  // The new server has its superuser already, with another password.
  writeFileSync(roles, dumped.replace(/^(CREATE|ALTER) ROLE postgres\b.*$/gm, ""));

  await using server = await startServer({ package: installed.package });
  await psql(installed, server.url, roles);
  const wrong: string[] = [...played.wrong];
  for (const [format, file] of Object.entries(files)) {
    const url = await createDatabase(server, format);
    if (format === "plain") await psql(installed, url, file);
    else await installed.tool("pg_restore", ["-d", url, "--exit-on-error", file]);
    wrong.push(...(await checkRestored(url, wallets, journal, before)));
  }
  const counts = { ...played.counts, dumpsRestored: Object.keys(files).length };
  return { ...played, wrong, counts };
}

async function psql(installed: Installed, url: string, file: string): Promise<void> {
  await installed.tool("psql", ["-X", "-q", "-d", url, "-v", "ON_ERROR_STOP=1", "-f", file]);
}

async function createDatabase(server: Server, name: string): Promise<string> {
  const sql = connectSql(server.url);
  await sql.unsafe(`create database ${name} template template0`);
  await sql.end();
  return new URL(`/${name}`, server.url).href;
}

/** Checks that what was restored is sound, part of the journal, and has all that was answered before. */
async function checkRestored(
  url: string,
  wallets: readonly string[],
  journal: readonly Entry[],
  before: readonly Sent[],
): Promise<string[]> {
  const sql = connectSql(url);
  const restored = await readJournal(sql, wallets);
  const known = new Set(journal.map(textOf));
  const foreign = restored.filter((entry) => !known.has(textOf(entry)));
  const wrong = foreign.map((entry) => `restored, but never there: ${format(entry)}`);

  const entries = new Map(
    restored.filter(isRequested).map((each) => [nameOf(each.wallet_id, each), each]),
  );
  for (const sent of before.filter(({ answer }) => answer && "receipts" in answer)) {
    const again = await sendSql(sql, sent);
    const repeated = sendingsOf({ ...sent, via: "sql", answer: again ?? { failed: "" } });
    for (const [i, { wallet_id, command, answer }] of sendingsOf(sent).entries()) {
      if (!answer || !("receipt" in answer)) continue;
      const entry = entries.get(nameOf(wallet_id, command));
      const sending = repeated[i];
      if (!entry) wrong.push(`lost by the restore: ${format(sent)}`);
      else if (!sending || !isReceiptOf(sending, entry)) {
        wrong.push(`${format(again)} is not ${format(entry)}`);
      }
    }
  }
  const unsound = await sql`select * from baseledger.verify()`;
  await sql.end();
  return [...wrong, ...unsound.map((row) => `verify: ${JSON.stringify(row)}`)];
}

/** An entry without its transaction, which another server numbers differently. */
function textOf({ transaction, ...entry }: Entry): string {
  return format(entry);
}
