import { setTimeout as delay } from "node:timers/promises";
import { InsufficientFundsError } from "../errors/index.ts";
import type { Receipt } from "../generated/index.ts";
import type { Connections, Line, Sql } from "./connections.ts";
import type { LostAnswer } from "./plan.ts";
import type { Tally } from "./tally.ts";

/** A command of an agent: the same key, however often and by whichever connection it is sent. */
export type Command = (sql: Sql) => Promise<Receipt>;

/** The answer to a command: a receipt, or why there were no funds for it. */
export type Answer = Receipt | InsufficientFundsError;

/** Sends a command as badly as life does, and returns what the agent hears in the end. */
export type Deliver = (
  tally: Tally,
  command: Command,
  lost: LostAnswer | undefined,
) => Promise<Answer>;

const EVERY_TENTH = 10;

/** Every tenth command goes out twice at once; a lost answer is followed by a retry. */
export function createDelivery(connections: Connections): Deliver {
  let commands = 0;
  return async (tally, command, lost) => {
    commands += 1;
    const twice = commands % EVERY_TENTH === 0;
    const broken = lost && (await lose(connections, tally, command, lost));
    const answers = await send(connections, tally, command, twice);
    if (broken && !answers.some(isReceipt)) {
      // The first send may still be on its way, and be granted after the retry was refused. Only
      // when the server has let go of the broken line is a refusal the last word.
      await connections.gone(broken);
      answers.push(await answerTo(command, connections.agents));
    }
    return conclude(tally, answers, { twice, lost: lost !== undefined });
  };
}

/** Whether the command was carried out. */
export function isReceipt(answer: Answer): answer is Receipt {
  return !(answer instanceof InsufficientFundsError);
}

async function lose(
  connections: Connections,
  tally: Tally,
  command: Command,
  lost: LostAnswer,
): Promise<Line | undefined> {
  tally.lostAnswers += 1;
  if (lost.how === "thrown away") {
    await answerTo(command, connections.agents);
    return undefined;
  }
  tally.lostByCut += 1;
  const line = await connections.open();
  const unheard = command(line.sql).catch(() => undefined);
  await delay(lost.afterMs);
  await line.cut();
  await unheard;
  return line;
}

async function send(
  { agents, seconds }: Connections,
  tally: Tally,
  command: Command,
  twice: boolean,
): Promise<Answer[]> {
  if (!twice) {
    return [await answerTo(command, agents)];
  }
  tally.sentTwice += 1;
  return Promise.all([answerTo(command, agents), answerTo(command, seconds)]);
}

async function answerTo(command: Command, sql: Sql): Promise<Answer> {
  try {
    return await command(sql);
  } catch (error) {
    if (error instanceof InsufficientFundsError) {
      return error;
    }
    throw error;
  }
}

function conclude(
  tally: Tally,
  answers: readonly Answer[],
  sent: { readonly twice: boolean; readonly lost: boolean },
): Answer {
  const receipts = answers.filter(isReceipt);
  const [first] = receipts;
  if (!first) {
    tally.duplicatesRefused += sent.twice ? 1 : 0;
    return answers[0] as Answer;
  }
  const fresh = receipts.filter(({ replayed }) => !replayed).length;
  if (fresh > 1 || (fresh === 0 && !sent.lost) || receipts.some((other) => !same(first, other))) {
    tally.surprises.push(`${first.idempotencyKey}: one command, but not one receipt`);
  }
  if (sent.twice && receipts.length > 1) {
    tally.duplicatesAbsorbed += 1;
  }
  if (sent.lost && fresh === 0) {
    tally.lostButDone += 1;
  }
  return first;
}

function same(one: Receipt, other: Receipt): boolean {
  return (
    one.seq === other.seq &&
    one.event === other.event &&
    one.amount === other.amount &&
    one.available === other.available &&
    one.reserved === other.reserved &&
    one.spent === other.spent
  );
}
