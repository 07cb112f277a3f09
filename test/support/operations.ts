// The operations of batches, by their names in SQL. Lists in tests derive from these or are compared
// with them, so that a new operation cannot be forgotten.
import {
  BATCH_FIELDS,
  type PostCommand,
  type PostFundsCommand,
} from "../../src/generated/index.ts";

export type BatchOp = PostFundsCommand["op"];

const FOR_OPERATORS: Readonly<Record<Exclude<BatchOp, PostCommand["op"]>, true>> = {
  credit: true,
  withdraw: true,
  refund: true,
};

/** What `post` takes. */
export const POST_OPS: readonly string[] = Object.values(BATCH_FIELDS).map(({ op }) => op);
/** What `post_funds` takes. */
export const POST_FUNDS_OPS: readonly string[] = [...POST_OPS, ...Object.keys(FOR_OPERATORS)];
