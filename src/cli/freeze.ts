import { Command } from "commander";
import { freezeWallet, unfreezeWallet } from "../generated/index.ts";
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
  return switchCommand("freeze", freezeWallet);
}

/** `baseledger unfreeze`: ends it. */
export function unfreezeCommand(): Command {
  return switchCommand("unfreeze", unfreezeWallet);
}

function switchCommand(name: "freeze" | "unfreeze", act: typeof freezeWallet): Command {
  const command = new Command(name)
    .argument("<wallet>", "id of the wallet")
    .requiredOption("--reason <text>", "goes on record")
    .option("--key <key>", "idempotency key, if it may be sent more than once")
    .option("--json", "print the receipt as JSON: amounts in the smallest step, as strings")
    .addHelpText("after", `\nExample:\n  baseledger ${name} acme --reason "runaway agent, #4711"`)
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
