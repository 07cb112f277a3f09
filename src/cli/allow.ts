import { Command } from "commander";
import { allow, disallow } from "../generated/index.ts";
import {
  addLabelOptions,
  changesWallet,
  describeLabels,
  type LabelOptions,
} from "./change-command.ts";

const ALLOW_HELP = `
From the first one on the wallet is restricted: only roles and keys that were allowed may use it, or
look at it, and operators. Allowed again, a role gets the new labels in place of the old ones. The
name must match exactly: members of the role are not allowed by it. Needs baseledger_operator.

Examples:
  baseledger allow acme search_service --label team=search --free user,run
  baseledger allow acme gateway --free '*'`;

const see = (walletId: string): string => `key list ${walletId}`;

/** `baseledger allow`: lets a role use a wallet. */
export function allowCommand(): Command {
  const command = new Command("allow")
    .argument("<wallet>", "id of the wallet")
    .argument("<role>", "name of the role, of a login or of set role");
  return changesWallet<LabelOptions>(addLabelOptions(command), ALLOW_HELP, see, async (asked) => {
    const { options, sql, terms, walletId, words } = asked;
    const [role = ""] = words;
    const { free: freeLabels, label: labels } = options;
    const receipt = await allow(sql, { walletId, role, labels, freeLabels, ...terms });
    return {
      receipt,
      facts: [
        ["role", role],
        ["labels", describeLabels(labels ?? {}, freeLabels ?? [])],
      ],
    };
  });
}

/** `baseledger disallow`: takes it back. */
export function disallowCommand(): Command {
  const command = new Command("disallow")
    .argument("<wallet>", "id of the wallet")
    .argument("<role>", "name of the role");
  const help =
    "\nWhat the role has open it may still settle, cancel and extend. Needs baseledger_operator." +
    "\n\nExample:\n  baseledger disallow acme search_service";
  return changesWallet(command, help, see, async ({ sql, terms, walletId, words }) => {
    const [role = ""] = words;
    return { receipt: await disallow(sql, { walletId, role, ...terms }), facts: [["role", role]] };
  });
}
