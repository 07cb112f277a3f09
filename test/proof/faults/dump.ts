// A dump under load, restored into an empty server: a moment of the ledger, which goes on from there.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../../../src/embedded/index.ts";
import type { Installed } from "../../support/installed.ts";
import { startServer } from "../servers.ts";
import type { Sent } from "./history.ts";
import { type Entry, readJournal } from "./journal.ts";
import { isAsked, say } from "./replay.ts";
import { connectSql, sendSql } from "./send.ts";
import { nameOf, tellsOf, usesOf } from "./sendings.ts";
import { createStage } from "./stage.ts";
import { playWave } from "./wave.ts";

export interface RestoreParts {
  readonly installed: Installed;
  readonly folder: string;
  readonly name: string;
  readonly seed: number;
}

const CROWD = { bySql: 4, callers: 6, sweepers: 1 };

/** Dumps and restores in both formats. */
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
  const whole = await readJournal(stage.admin, wallets);
  const roles = join(folder, "roles");
  const dumped = await installed.tool("pg_dumpall", ["-d", stage.server.url, "--roles-only"]);
  // The superuser is there already, with a password of its own.
  writeFileSync(roles, dumped.replace(/^(CREATE|ALTER) ROLE postgres\b.*$/gm, ""));

  await using server = await startServer({ package: installed.package });
  await psql(installed, server.url, roles);
  const wrong: string[] = [...played.wrong];
  for (const [format, file] of Object.entries(files)) {
    const url = await createDatabase(server, format);
    if (format === "plain") await psql(installed, url, file);
    else await installed.tool("pg_restore", ["-d", url, "--exit-on-error", file]);
    wrong.push(...(await checkRestored(url, wallets, whole, before)));
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

/** What is there is sound, the beginning of the whole, and has all that was answered before. */
async function checkRestored(
  url: string,
  wallets: readonly string[],
  whole: readonly Entry[],
  before: readonly Sent[],
): Promise<string[]> {
  const sql = connectSql(url);
  const restored = await readJournal(sql, wallets);
  const known = new Set(whole.map(textOf));
  const foreign = restored.filter((entry) => !known.has(textOf(entry)));
  const wrong = foreign.map((entry) => `restored, but never there: ${say(entry)}`);

  const entries = new Map(
    restored.filter(isAsked).map((each) => [nameOf(each.wallet_id, each), each]),
  );
  for (const sent of before.filter(({ answer }) => answer && "receipts" in answer)) {
    const again = await sendSql(sql, sent);
    const repeated = usesOf({ ...sent, via: "sql", answer: again ?? { failed: "" } });
    for (const [i, { wallet_id, command, told }] of usesOf(sent).entries()) {
      if (!told || !("receipt" in told)) continue;
      const entry = entries.get(nameOf(wallet_id, command));
      const use = repeated[i];
      if (!entry) wrong.push(`lost by the restore: ${say(sent)}`);
      else if (!use || !tellsOf(use, entry)) wrong.push(`${say(again)} is not ${say(entry)}`);
    }
  }
  const unsound = await sql`select * from baseledger.verify()`;
  await sql.end();
  return [...wrong, ...unsound.map((row) => `verify: ${JSON.stringify(row)}`)];
}

/** Another server has other transactions. */
function textOf({ fold, ...entry }: Entry): string {
  return say(entry);
}
