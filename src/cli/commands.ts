/*
 * The list of commands. main.ts makes a program of it: an entry is loaded only if a word of the
 * command line is its name, so that help and each command start without the modules of the others.
 *
 * A command is a file of its own, named like it (`open` is in open-wallet.ts, `receipt` in
 * find-receipt.ts, `unfreeze`, `close` and `reopen` in freeze.ts, `disallow` in allow.ts); one that
 * consists of others, such as `limit set`, is a group (command-group.ts). Its function `…Command()` returns it with options and action, and the description is
 * here. completion.ts loads all commands, for their options.
 *
 * Commands share database.ts (--url and connections), wallet-command.ts (those that move funds),
 * change-command.ts (those that change terms, limits and access), receipt.ts, refusal.ts and failure.ts (how answers are printed), and views.ts (reads views).
 */
import { Command } from "commander";

/** A command of `baseledger`, which is loaded when it is used. */
interface Entry {
  readonly about: string;
  readonly load: () => Promise<Command>;
}

type Group = Readonly<Record<string, Entry>>;

/** All commands, in the order in which help lists them. */
const GROUPS: Readonly<Record<string, Group>> = {
  "See what it does:": {
    demo: {
      about: "watch agents spend customers' funds while all goes wrong that can, then audit",
      load: async () => (await import("./demo.ts")).demoCommand(),
    },
    simulate: {
      about: "back-test: what would this log of calls have done to this budget?",
      load: async () => (await import("./simulate.ts")).simulateCommand(),
    },
    bench: {
      about: "measure the ledger beside what people do today, in one run, and hold it to goals",
      load: async () => (await import("./bench.ts")).benchCommand(),
    },
  },
  "Install and run:": {
    dev: {
      about: "run a ledger to develop against: server, schema, expiry job; its data is kept",
      load: async () => (await import("./dev.ts")).devCommand(),
    },
    migrate: {
      about: "install BaseLedger in a database, or bring it up to date",
      load: async () => (await import("./migrate.ts")).migrateCommand(),
    },
    sql: {
      about: "print the SQL that installs BaseLedger, for another migration tool",
      load: async () => (await import("./sql.ts")).sqlCommand(),
    },
    worker: {
      about: "run the expiry job, which returns the funds of reservations past their deadline",
      load: async () => (await import("./worker.ts")).workerCommand(),
    },
    completion: {
      about: "print a script that completes commands and options, for bash, zsh or fish",
      load: async () => (await import("./completion.ts")).completionCommand(),
    },
    generate: {
      about: "write typed wrappers of the functions of a schema",
      load: async () => (await import("./generate.ts")).generateCommand(),
    },
  },
  "Wallets:": {
    wallets: {
      about: "list wallets: what they have available, reserved, spent and due",
      load: async () => (await import("./wallets.ts")).walletsCommand(),
    },
    open: {
      about: "open a wallet; opening it again on the same terms is fine",
      load: async () => (await import("./open-wallet.ts")).openCommand(),
    },
    credit: {
      about: "add funds to a wallet",
      load: async () => (await import("./credit.ts")).creditCommand(),
    },
    withdraw: {
      about: "take funds out of a wallet",
      load: async () => (await import("./withdraw.ts")).withdrawCommand(),
    },
    transfer: {
      about: "move funds from one wallet to another",
      load: async () => (await import("./transfer.ts")).transferCommand(),
    },
    freeze: {
      about: "let a wallet spend nothing new: what is under way may still be settled or cancelled",
      load: async () => (await import("./freeze.ts")).freezeCommand(),
    },
    unfreeze: {
      about: "let a frozen wallet spend again",
      load: async () => (await import("./freeze.ts")).unfreezeCommand(),
    },
    close: {
      about: "close a wallet: what is open may still be ended, and funds taken out",
      load: async () => (await import("./freeze.ts")).closeCommand(),
    },
    reopen: {
      about: "open a closed wallet again",
      load: async () => (await import("./freeze.ts")).reopenCommand(),
    },
    terms: {
      about: "show or change how far a wallet may go below zero, and when low funds alert",
      load: async () => (await import("./terms.ts")).termsCommand(),
    },
    balance: {
      about: "show what a wallet has available, reserved and spent",
      load: async () => (await import("./balance.ts")).balanceCommand(),
    },
    statement: {
      about: "print a statement of account: opening balance, events, closing balance",
      load: async () => (await import("./statement.ts")).statementCommand(),
    },
  },
  "Who may use a wallet, and how much:": {
    limit: {
      about: "set, list or remove limits: what a wallet may use in a window, by labels or in all",
      load: async () => (await import("./limit.ts")).limitCommand(),
    },
    allow: {
      about: "let a role use a wallet, and from then on only those that were let",
      load: async () => (await import("./allow.ts")).allowCommand(),
    },
    disallow: {
      about: "let a role use a wallet no more",
      load: async () => (await import("./allow.ts")).disallowCommand(),
    },
    key: {
      about: "create, list or revoke keys: secrets that open a wallet; list shows roles, too",
      load: async () => (await import("./key.ts")).keyCommand(),
    },
    alerts: {
      about: "show what limits and low funds have alerted, and whether it was sent",
      load: async () => (await import("./alerts.ts")).alertsCommand(),
    },
    webhook: {
      about: "add, list or remove addresses that alerts are sent to",
      load: async () => (await import("./webhook.ts")).webhookCommand(),
    },
  },
  "What models cost:": {
    prices: {
      about: "import, list, set or export what models cost",
      load: async () => (await import("./prices.ts")).pricesCommand(),
    },
    quote: {
      about: "show what a call costs, without spending anything",
      load: async () => (await import("./quote.ts")).quoteCommand(),
    },
    spending: {
      about: "show who has spent what, with which model, when: calls, tokens and amounts",
      load: async () => (await import("./spending.ts")).spendingCommand(),
    },
  },
  "Reservations, by hand:": {
    reserve: {
      about: "hold the most that something may cost, until a deadline",
      load: async () => (await import("./reserve.ts")).reserveCommand(),
    },
    settle: {
      about: "book what it did cost, and return the rest",
      load: async () => (await import("./settle.ts")).settleCommand(),
    },
    cancel: {
      about: "return all that a reservation holds",
      load: async () => (await import("./cancel.ts")).cancelCommand(),
    },
    extend: {
      about: "give a reservation a new deadline, or a larger or smaller hold",
      load: async () => (await import("./extend.ts")).extendCommand(),
    },
    charge: {
      about: "spend at once, without a reservation before",
      load: async () => (await import("./charge.ts")).chargeCommand(),
    },
    refund: {
      about: "take back a part of what a reservation has settled, or all",
      load: async () => (await import("./refund.ts")).refundCommand(),
    },
    reservation: {
      about: "show how a reservation stands, or how it went",
      load: async () => (await import("./reservation.ts")).reservationCommand(),
    },
    receipt: {
      about: "look up whether a command was done, by its idempotency key",
      load: async () => (await import("./find-receipt.ts")).receiptCommand(),
    },
  },
  "Watch and prove:": {
    top: {
      about: "watch the wallets that spend most, what is held, and whether the sweep keeps up",
      load: async () => (await import("./top.ts")).topCommand(),
    },
    doctor: {
      about: "look at what is around the ledger: settings, rights, worker, clock, transactions",
      load: async () => (await import("./doctor.ts")).doctorCommand(),
    },
    verify: {
      about: "prove the journal, its hash chain and every balance; exit 1 if one is off",
      load: async () => (await import("./verify.ts")).verifyCommand(),
    },
  },
};

/**
 * Makes the commands. Those that no word of the command line names have only a name and a
 * description, for help, so that nothing is loaded in vain; without words, all are complete.
 */
export function makeCommands(words?: readonly string[]): Promise<Command[]> {
  return Promise.all(
    Object.entries(GROUPS).flatMap(([group, entries]) =>
      Object.entries(entries).map(async ([name, { about, load }]) => {
        const isComplete = words === undefined || words.includes(name);
        const command = isComplete ? await load() : new Command(name);
        return command.description(about).helpGroup(group);
      }),
    ),
  );
}
