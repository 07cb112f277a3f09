import { Command, Option } from "commander";
import { type LimitUse, limits, removeLimit, setLimit, setLimitFor } from "../generated/index.ts";
import { optionParser, wholeNumber } from "../terminal/index.ts";
import { type AskedChange, type Changed, changesWallet, listOption } from "./change-command.ts";
import { commandGroup } from "./command-group.ts";
import { addDatabaseOptions } from "./database.ts";
import { UsageError } from "./failure.ts";
import { showLimits } from "./limit-list.ts";
import { combinationOf, describeLimit, limitWriter } from "./limit-words.ts";
import { readAmount } from "./wallet-command.ts";

const WINDOWS = ["minute", "hour", "day", "week", "month", "year", "ever"];
const COUNTED = ["amount", "tokens", "calls", "open"];
const NO_AMOUNT = "none";

interface SetOptions {
  readonly per?: string;
  readonly by?: readonly string[];
  readonly of?: string;
  readonly timeZone?: string;
  readonly soft?: true;
  readonly hard?: true;
  readonly alertAt?: readonly number[];
  readonly for?: readonly string[];
}

const SET_HELP = `
A limit that is there keeps what no option names; its window, labels, what it counts and its time
zone cannot change: remove it and set another. It counts from its setting on. Needs
baseledger_operator.

Examples:
  baseledger limit set acme org-month 500 --per month --time-zone Europe/Berlin --alert-at 80,100
  baseledger limit set acme user-day 5 --per day --by user
  baseledger limit set acme user-day 20 --for ann
  baseledger limit set acme tokens-day 2000000 --per day --by user --of tokens
  baseledger limit set acme calls-minute 60 --per minute --by user --of calls
  baseledger limit set acme at-once 10 --per ever --by user --of open`;

/** `baseledger limit`: what a wallet may use in a window. */
export function limitCommand(): Command {
  return commandGroup("limit", [setCommand(), listCommand(), removeCommand()]);
}

const see = (walletId: string): string => `limit list ${walletId}`;

function setCommand(): Command {
  const command = new Command("set")
    .description("set or change a limit, or with --for one combination's own amount")
    .argument("<wallet>", "id of the wallet")
    .argument("<limit>", "name of the limit in its wallet")
    .argument(
      "<amount>",
      "in the wallet's unit, or a number of tokens or calls; 0 blocks; or none, see --by",
    )
    .addOption(new Option("--per <window>", "the window; needed for a new limit").choices(WINDOWS))
    .option(
      "--by <labels>",
      "for each combination of these labels, such as user,run; with the amount none, only those " +
        "are limited that have an amount of their own",
      listOption(),
    )
    .addOption(new Option("--of <what>", "what is counted (default: amount)").choices(COUNTED))
    .option("--time-zone <name>", "where days begin, such as Europe/Berlin (default: UTC)")
    .addOption(new Option("--soft", "refuse nothing, only alert").conflicts("hard"))
    .option("--hard", "refuse what would go above it (default)")
    .option("--alert-at <percents>", "alert when so much is spent, such as 50,80,100", percents())
    .option("--for <values...>", "its values, in the order of --by: ann,run-7, or ann run-7");
  return changesWallet<SetOptions>(command, SET_HELP, see, (asked) =>
    asked.options.for ? setForOne(asked, asked.options.for) : setForAll(asked),
  );
}

function percents(): (text: string) => number[] {
  return optionParser((text) => {
    const each = wholeNumber(1, 1000);
    return text === NO_AMOUNT
      ? []
      : text.split(",").map((one) => each(one.trim().replace(/%$/, "")));
  });
}

async function find({
  sql,
  walletId,
  words,
}: AskedChange<SetOptions>): Promise<LimitUse | undefined> {
  const [limitId = ""] = words;
  return (await limits(sql, { walletId, limitId, limit: 1 }))[0];
}

/** Parses what may be used: an amount of the wallet, a number, or none. */
function readMost(text: string, of: string, scale: number): bigint | null {
  if (text === NO_AMOUNT) return null;
  return readAmount(text, of === "amount" ? scale : 0);
}

async function setForAll(asked: AskedChange<SetOptions>): Promise<Changed> {
  const { denomination, options, sql, terms, walletId, words } = asked;
  const [limitId = "", text = ""] = words;
  const found = await find(asked);
  const { per = found?.per } = options;
  if (per === undefined) throw new UsageError("a new limit needs --per, such as --per day");
  const limit = {
    amount: readMost(text, options.of ?? found?.of ?? "amount", denomination.scale),
    per,
    by: options.by ?? found?.by ?? [],
    of: options.of ?? found?.of ?? "amount",
    timeZone: options.timeZone ?? found?.timeZone ?? "UTC",
    hard: options.soft ? false : (options.hard ?? found?.hard ?? true),
    alertAt: options.alertAt ?? found?.alertAt ?? [],
  };
  const receipt = await setLimit(sql, { walletId, limitId, ...limit, ...terms });
  return { receipt, facts: [["limit", `${limitId}: ${describeLimit(limit, denomination)}`]] };
}

async function setForOne(
  asked: AskedChange<SetOptions>,
  given: readonly string[],
): Promise<Changed> {
  const { denomination, options, sql, terms, walletId, words } = asked;
  const { per, by, of, timeZone, soft, hard, alertAt } = options;
  if ([per, by, of, timeZone, soft, hard, alertAt].some((option) => option !== undefined)) {
    throw new UsageError("--for sets an amount only; set the limit itself without --for");
  }
  const [limitId = "", text = ""] = words;
  const found = await find(asked);
  const counted = found?.of ?? "amount";
  const [only = ""] = given;
  // A value of the only label may contain a comma.
  const values = given.length === 1 && found?.by.length !== 1 ? only.split(",") : given;
  const amount = readMost(text, counted, denomination.scale);
  const receipt = await setLimitFor(sql, { walletId, limitId, values, amount, ...terms });
  const most = amount === null ? "as the others" : limitWriter(counted, denomination)(amount);
  return {
    receipt,
    facts: [["limit", `${limitId} for ${combinationOf(values, found?.by)}: ${most}`]],
  };
}

function removeCommand(): Command {
  const command = new Command("remove")
    .description("remove a limit, with what it has counted")
    .argument("<wallet>", "id of the wallet")
    .argument("<limit>", "name of the limit");
  const help = "\nNeeds baseledger_operator.\n\nExample:\n  baseledger limit remove acme user-day";
  return changesWallet(command, help, see, async ({ sql, terms, walletId, words }) => {
    const [limitId = ""] = words;
    return { receipt: await removeLimit(sql, { walletId, limitId, ...terms }) };
  });
}

function listCommand(): Command {
  const command = new Command("list")
    .description("show limits, and what is used of them")
    .argument("<wallet>", "id of the wallet")
    .argument("[limit]", "only this one")
    .option(
      "--after <values...>",
      "go on after this combination of the limit, as its last row has it",
    )
    .option(
      "--limit <n>",
      "rows at most (default: 100, or 100000 in JSON)",
      wholeNumber(1, 100_000),
    )
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nUsed is what was spent in the window, and what is held now. Holders of a key or grant with" +
        "\nfixed labels see those of their labels." +
        "\n\nExamples:\n  baseledger limit list acme\n  baseledger limit list acme user-day --json",
    )
    .action(showLimits);
  return addDatabaseOptions(command);
}
