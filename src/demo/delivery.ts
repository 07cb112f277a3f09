import { setTimeout as delay } from "node:timers/promises";
import { InsufficientFundsError, LimitReachedError } from "../errors/index.ts";
import type { Receipt } from "../generated/index.ts";
import type { Connections, Line, Sql } from "./connections.ts";
import type { Customer } from "./counters.ts";
import type { LostAnswer } from "./plan.ts";

/** A command of an agent: the same key, however often and on whichever connection it is sent. */
export type Command = (sql: Sql) => Promise<Receipt>;

/** Why there were no funds for a command, or nothing left of a limit. */
export type Refusal = InsufficientFundsError | LimitReachedError;

/** The answer to a command. */
export type Answer = Receipt | Refusal;

/** Sends a command, first with a lost answer if it has one, and returns the final answer. */
export type Deliver = (
  customer: Customer,
  command: Command,
  lost: LostAnswer | undefined,
) => Promise<Answer>;

const SENT_TWICE_EVERY = 10;

/** Every tenth command goes out twice at once; a lost answer is followed by a retry. */
export function createDelivery(connections: Connections): Deliver {
  let commands = 0;
  return async (customer, command, lost) => {
    commands += 1;
    const twice = commands % SENT_TWICE_EVERY === 0;
    const broken = lost && (await loseAnswer(connections, customer, command, lost));
    const answers = await send(connections, customer, command, twice);
    if (broken && !answers.some(isReceipt)) {
      // The first send may still be on its way, and be granted after the retry was refused: a
      // refusal is final only when the server has let go of the broken connection.
      await broken.ended();
      answers.push(await answerTo(command, connections.agents));
    }
    return conclude(customer, answers, { twice, lost: lost !== undefined });
  };
}

/** Whether the command was executed. */
export function isReceipt(answer: Answer): answer is Receipt {
  return !isRefusal(answer);
}

function isRefusal(answer: unknown): answer is Refusal {
  return answer instanceof InsufficientFundsError || answer instanceof LimitReachedError;
}

async function loseAnswer(
  connections: Connections,
  { sent }: Customer,
  command: Command,
  lost: LostAnswer,
): Promise<Line | undefined> {
  sent.lostAnswers += 1;
  if (lost.how === "thrown away") {
    await answerTo(command, connections.agents);
    return undefined;
  }
  sent.lostByCut += 1;
  const line = await connections.open();
  const ignored = command(line.sql).catch(() => undefined);
  await delay(lost.afterMs);
  await line.cut();
  await ignored;
  return line;
}

async function send(
  { agents, duplicates }: Connections,
  { sent }: Customer,
  command: Command,
  twice: boolean,
): Promise<Answer[]> {
  if (!twice) return [await answerTo(command, agents)];
  sent.sentTwice += 1;
  return Promise.all([answerTo(command, agents), answerTo(command, duplicates)]);
}

async function answerTo(command: Command, sql: Sql): Promise<Answer> {
  try {
    return await command(sql);
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

function conclude(
  { sent, surprises }: Customer,
  answers: readonly Answer[],
  how: { readonly twice: boolean; readonly lost: boolean },
): Answer {
  const receipts = answers.filter(isReceipt);
  const [first] = receipts;
  if (!first) {
    sent.duplicatesRefused += how.twice ? 1 : 0;
    return answers[0] as Answer;
  }
  const fresh = receipts.filter(({ replayed }) => !replayed).length;
  if (
    fresh > 1 ||
    (fresh === 0 && !how.lost) ||
    receipts.some((other) => !areEqual(first, other))
  ) {
    surprises.push(`${first.idempotencyKey}: one command, but not one receipt`);
  }
  if (how.twice && receipts.length > 1) sent.duplicatesAbsorbed += 1;
  if (how.lost && fresh === 0) sent.lostButDone += 1;
  return first;
}

function areEqual(one: Receipt, other: Receipt): boolean {
  const fields = ["seq", "event", "amount", "available", "reserved", "spent"] as const;
  return fields.every((field) => one[field] === other[field]);
}
