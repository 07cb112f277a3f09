// Recorders in front of the one of a wave.
import type { Call, Recorder } from "../faults/history.ts";

/** A recorder that knows up to which event of each wallet somebody was told. */
export function watchSeqs(recorder: Recorder) {
  const known = new Map<string, bigint>();
  const tell = (receipt: unknown) => {
    const { wallet_id, seq } = (receipt ?? {}) as { wallet_id?: string; seq?: unknown };
    if (wallet_id === undefined || typeof seq !== "bigint") return;
    if (seq > (known.get(wallet_id) ?? 0n)) known.set(wallet_id, seq);
  };
  const watching: Recorder = {
    get answers() {
      return recorder.answers;
    },
    get calls() {
      return recorder.calls;
    },
    note(call, via) {
      const answered = recorder.note(call, via);
      return (answer) => {
        if ("receipts" in answer) answer.receipts.forEach(tell);
        answered(answer);
      };
    },
  };
  return { recorder: watching, seqOf: (walletId: string) => known.get(walletId) ?? 0n };
}

/** A recorder that knows its own calls only: what is sent again is of the same wallets. */
export function recordOwn(recorder: Recorder): Recorder {
  const calls: Call[] = [];
  return {
    calls,
    get answers() {
      return recorder.answers;
    },
    note(call, via) {
      calls.push(call);
      return recorder.note(call, via);
    },
  };
}
