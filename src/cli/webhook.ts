import { Command } from "commander";
import { addWebhook, listWebhooks, removeWebhook } from "../generated/index.ts";
import {
  formatTime,
  printError,
  printJson,
  printLine,
  printTable,
  shortened,
  text,
} from "../terminal/index.ts";
import { listOption } from "./change-command.ts";
import { commandGroup } from "./command-group.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UncheckedError } from "./failure.ts";

interface AddOptions extends DatabaseOptions {
  readonly wallet?: string;
  readonly events?: readonly string[];
  readonly allowPrivate?: true;
  readonly key?: string;
  readonly json?: true;
}

/** `baseledger webhook`: where alerts are sent. */
export function webhookCommand(): Command {
  return commandGroup("webhook", [addCommand(), listCommand(), removeCommand()]);
}

function addCommand(): Command {
  const command = new Command("add")
    .description("send alerts to an address, and print the secret of its signatures: once")
    .argument("<address>", "an http or https address")
    .option("--wallet <id>", "only this wallet's alerts (default: those of all wallets)")
    .option("--events <kinds>", "limit, low_balance (default: both)", listOption())
    .option("--allow-private", "it may be at an address that is not public, such as 10.0.0.1")
    .option("--key <key>", "idempotency key, if it may be sent more than once")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nThe worker posts each alert as JSON, signed after the convention of Standard Webhooks, until" +
        "\nit is answered with 200 to 299, for about a day. The secret goes to standard output, alone." +
        "\nNeeds baseledger_operator." +
        "\n\nExamples:\n  baseledger webhook add https://ops.example/alerts > secret" +
        "\n  baseledger webhook add http://10.0.0.7:8080/ --wallet acme --allow-private",
    )
    .action(add);
  return addDatabaseOptions(command);
}

async function add(url: string, options: AddOptions): Promise<void> {
  const { allowPrivate, events, json, key: idempotencyKey, wallet: walletId = null } = options;
  const added = await withConnection(options, (sql) =>
    addWebhook(sql, { walletId, url, events, allowPrivate, idempotencyKey }),
  );
  if (json) {
    printJson(added);
    return;
  }
  const { secret, webhookId } = added;
  if (secret === null) {
    throw new UncheckedError(
      `${webhookId} was added before, and its secret is not shown again: remove it, and add another`,
    );
  }
  printLine(secret);
  const whose = walletId === null ? text`all wallets` : text`${walletId}`;
  printError(text`${webhookId}: alerts of ${whose} go to ${url}. Its secret is shown only now.`);
}

function listCommand(): Command {
  const command = new Command("list")
    .description("show where alerts are sent; never secrets")
    .argument("[wallet]", "only those that get the alerts of this wallet")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor or baseledger_operator.\n\nExample:\n  baseledger webhook list",
    )
    .action(list);
  return addDatabaseOptions(command);
}

const WIDEST = 60;

async function list(
  walletId: string | undefined,
  options: DatabaseOptions & { readonly json?: true },
): Promise<void> {
  const found = await withConnection(options, (sql) => listWebhooks(sql, { walletId }));
  if (options.json) {
    printJson(found);
    return;
  }
  if (found.length === 0) {
    printLine(text`no webhooks`);
    return;
  }
  printTable(
    found.map((webhook) => ({
      id: webhook.webhookId,
      wallet: webhook.walletId === null ? "(all)" : shortened(webhook.walletId, WIDEST),
      address: shortened(webhook.url, WIDEST),
      events: webhook.events.join(", "),
      private: webhook.allowPrivate ? "allowed" : "",
      since: formatTime(webhook.addedAt),
    })),
  );
}

function removeCommand(): Command {
  const command = new Command("remove")
    .description("send nothing there any more")
    .argument("<webhook-id>", "its id, see: webhook list")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nNeeds baseledger_operator.\n\nExample:\n  baseledger webhook remove wh_0123456789ab",
    )
    .action(async (webhookId: string, options: DatabaseOptions & { readonly json?: true }) => {
      const removed = await withConnection(options, (sql) => removeWebhook(sql, { webhookId }));
      if (options.json) printJson(removed);
      else printLine(text`${removed.webhookId} removed: ${removed.url}`);
    });
  return addDatabaseOptions(command);
}
