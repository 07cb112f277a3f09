import { Command } from "commander";
import { closeWallet, freezeWallet, reopenWallet, unfreezeWallet } from "../generated/index.ts";
import { denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { printReceipt } from "./receipt.ts";
import { attempt } from "./wallet-command.ts";

interface Options extends DatabaseOptions {
  readonly reason: string;
  readonly key?: string;
  readonly json?: true;
}

/** `baseledger freeze`: the kill switch. */
export function freezeCommand(): Command {
  return switchCommand("freeze", freezeWallet, "runaway agent, #4711");
}

/** `baseledger unfreeze`: ends it. */
export function unfreezeCommand(): Command {
  return switchCommand("unfreeze", unfreezeWallet, "agent fixed");
}

/** `baseledger close`: nothing new goes in or out. */
export function closeCommand(): Command {
  return switchCommand("close", closeWallet, "contract ended");
}

/** `baseledger reopen`: ends that. */
export function reopenCommand(): Command {
  return switchCommand("reopen", reopenWallet, "contract renewed");
}

function switchCommand(name: string, act: typeof freezeWallet, why: string): Command {
  const command = new Command(name)
    .argument("<wallet>", "id of the wallet")
    .requiredOption("--reason <text>", "goes on record")
    .option("--key <key>", "idempotency key, if it may be sent more than once")
    .option("--json", "print the receipt as JSON: amounts in the smallest step, as strings")
    .addHelpText("after", `\nExample:\n  baseledger ${name} acme --reason "${why}"`)
    .action(async (walletId: string, options: Options) => {
      const { reason, key: idempotencyKey } = options;
      await withConnection(options, async (sql) => {
        const denomination = await denominationOf(sql, walletId);
        const again = `see: baseledger balance ${walletId}`;
        const receipt = await attempt({ denomination, idempotencyKey, again }, () =>
          act(sql, { walletId, reason, idempotencyKey }),
        );
        printReceipt(receipt, denomination, options.json);
      });
    });
  return addDatabaseOptions(command);
}
