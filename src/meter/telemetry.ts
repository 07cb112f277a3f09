import type { Usage } from "../json/index.ts";

/** A call, for whoever observes it. */
export interface ObservedCall {
  /** After the conventions for generative AI: chat, embeddings, generate_content … */
  readonly operation: string;
  /** Provider and model, as prices name them: `openai/gpt-5`. */
  readonly model: string;
  readonly variant: string;
  readonly stream: boolean;
  readonly walletId: string;
  /** The wallet's unit and scale. Undefined if they cannot be read. */
  wallet(): Promise<WalletUnit | undefined>;
}

/** What a wallet's amounts are in. */
export interface WalletUnit {
  readonly unit: string;
  /** Decimal digits of the smallest step. */
  readonly scale: number;
}

/** How a call was booked. */
export interface CallEnd {
  /** What it is booked by: reported usage, a bound, the whole hold; or it cost nothing. */
  readonly basis: "usage" | "bound" | "hold" | "none";
  /** In the wallet's smallest step; undefined if only a second try got through. */
  readonly amount: bigint | undefined;
  readonly usage?: Usage | undefined;
  /** Why it is not booked by its usage. */
  readonly why?: string | undefined;
}

/** Follows one call; one of its methods is called, once. */
export interface CallObserver {
  /** The call was not sent: the code of the ledger's error, or another word. */
  refused(code: string, error: unknown): void;
  ended(end: CallEnd): void;
  /** What it cost could not be booked. */
  lost(error: unknown): void;
}

const NOBODY: CallObserver = {
  refused: () => undefined,
  ended: () => undefined,
  lost: () => undefined,
};

/** Begins to observe a call. */
export function observeCall(_call: ObservedCall): CallObserver {
  return NOBODY;
}
