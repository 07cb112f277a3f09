/** What a wallet is besides its balances. */
export interface WalletFlags {
  readonly frozen: boolean;
  readonly closed: boolean;
  readonly restricted: boolean;
  readonly limited: boolean;
}

/** The state of a wallet in words: `open`, or `closed, frozen, restricted, limited`. */
export function stateOf({ closed, frozen, limited, restricted }: WalletFlags): string {
  const words = [closed ? "closed" : "", frozen ? "frozen" : ""].filter(Boolean);
  if (words.length === 0) words.push("open");
  if (restricted) words.push("restricted");
  if (limited) words.push("limited");
  return words.join(", ");
}
