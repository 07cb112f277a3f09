import { Command, Option } from "commander";
import { createKey, listGrants, listKeys, revokeKey, type WalletKey } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import {
  formatTime,
  optionParser,
  printError,
  printJson,
  printLine,
  printTable,
  shortened,
  text,
} from "../terminal/index.ts";
import { denominationOf } from "./amounts.ts";
import {
  addChangeOptions,
  addLabelOptions,
  changesWallet,
  describeLabels,
  type LabelOptions,
} from "./change-command.ts";
import { commandGroup } from "./command-group.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UncheckedError } from "./failure.ts";
import { attempt } from "./wallet-command.ts";

interface CreateOptions extends DatabaseOptions, LabelOptions {
  readonly expires?: Date;
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** `baseledger key`: secrets that open a wallet. */
export function keyCommand(): Command {
  return commandGroup("key", [createCommand(), listCommand(), revokeCommand()]);
}

function createCommand(): Command {
  const command = addLabelOptions(new Command("create"))
    .description("make a key, and print its secret: once, alone on standard output")
    .argument("<wallet>", "id of the wallet")
    .addOption(
      new Option(
        "--expires <time>",
        "until when it can be used, as in 2027-01-31 or 2027-01-31T12:00Z",
      ).argParser(optionParser(parseTime)),
    )
    .action(create);
  return addChangeOptions(
    command,
    "\nThe wallet is restricted from then on, as by allow. Whoever has the secret uses the wallet by" +
      "\nsetting baseledger.key to it, with createLedger's option key, or here with BASELEDGER_KEY." +
      "\nNeeds baseledger_operator." +
      "\n\nExamples:\n  baseledger key create acme --label user=ann --free run > ann.key" +
      "\n  BASELEDGER_KEY=$(cat ann.key) baseledger balance acme",
  );
}

function parseTime(given: string): Date {
  const time = new Date(given);
  if (Number.isNaN(time.getTime())) {
    throw new RangeError("It is not a time like 2027-01-31 or 2027-01-31T12:00Z.");
  }
  return time;
}

async function create(walletId: string, options: CreateOptions): Promise<void> {
  const {
    expires: expiresAt,
    free: freeLabels,
    json,
    key: idempotencyKey,
    label: labels,
  } = options;
  const { metadata } = options;
  const created = await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const again = `see: baseledger key list ${walletId}`;
    return attempt({ denomination, idempotencyKey, again }, () =>
      createKey(sql, { walletId, labels, freeLabels, expiresAt, idempotencyKey, metadata }),
    );
  });
  if (json) {
    printJson(created);
    return;
  }
  const { keyId, secret } = created;
  // A script that pipes the secret must not go on without one.
  if (secret === null) {
    throw new UncheckedError(
      `${keyId} was made before, and its secret is not shown again: revoke it, and make another`,
    );
  }
  printLine(secret);
  const until = created.expiresAt
    ? text`until ${created.expiresAt.toISOString()}`
    : text`until revoked`;
  const has = describeLabels(labels ?? {}, freeLabels ?? []);
  printError(text`${keyId} of ${walletId}, labels ${has}, ${until}. Its secret is shown only now.`);
}

function revokeCommand(): Command {
  const command = new Command("revoke")
    .description("let nobody use a key any more")
    .argument("<wallet>", "id of the wallet")
    .argument("<key-id>", "its name, like key_0123456789ab");
  const help =
    "\nWhat was opened with it may still be settled, cancelled and extended with it. Needs" +
    "\nbaseledger_operator.\n\nExample:\n  baseledger key revoke acme key_0123456789ab";
  const see = (walletId: string): string => `key list ${walletId}`;
  return changesWallet(command, help, see, async ({ sql, terms, walletId, words }) => {
    const [keyId = ""] = words;
    return {
      receipt: await revokeKey(sql, { walletId, keyId, ...terms }),
      facts: [["key id", keyId]],
    };
  });
}

function listCommand(): Command {
  const command = new Command("list")
    .description("show who may use a wallet: roles and keys, never secrets")
    .argument("<wallet>", "id of the wallet")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor or baseledger_operator.\n\nExample:\n  baseledger key list acme",
    )
    .action(list);
  return addDatabaseOptions(command);
}

const WIDEST = 60;

async function list(
  walletId: string,
  options: DatabaseOptions & { readonly json?: true },
): Promise<void> {
  const [grants, keys] = await withConnection(options, async (sql) => [
    await listGrants(sql, { walletId }),
    await listKeys(sql, { walletId }),
  ]);
  if (options.json) {
    printJson({ roles: grants, keys });
    return;
  }
  const rows = [
    ...grants.map(({ freeLabels, grantedAt, labels, roleName }) => ({
      who: text`role ${shortened(roleName, WIDEST)}`,
      labels: shortened(describeLabels(labels, freeLabels), WIDEST),
      since: formatTime(grantedAt),
      state: "",
    })),
    ...keys.map((key) => ({
      who: key.keyId,
      labels: shortened(describeLabels(key.labels, key.freeLabels), WIDEST),
      since: formatTime(key.createdAt),
      state: stateOf(key),
    })),
  ];
  if (rows.length === 0) printLine(text`no roles and no keys`);
  else printTable(rows);
}

function stateOf({ expiresAt, revokedAt }: WalletKey): string {
  if (revokedAt) return `revoked ${formatTime(revokedAt)}`;
  if (!expiresAt) return "";
  return `${expiresAt.getTime() < Date.now() ? "expired" : "expires"} ${formatTime(expiresAt)}`;
}
