import { LimitReachedError } from "../errors/index.ts";
import type { Usage } from "../json/index.ts";
import { loadSink, type Sink } from "./telemetry-sink.ts";

/** A call, for whoever observes it. */
export interface ObservedCall {
  /** After the conventions for generative AI: chat, embeddings, generate_content, execute_tool … */
  readonly operation: string;
  /** Provider and model, as prices name them: `openai/gpt-5`. Undefined for a tool without usage. */
  readonly model: string | undefined;
  readonly variant: string;
  readonly stream: boolean;
  /** The name of a tool. */
  readonly tool?: string | undefined;
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

type Attributes = Record<string, string | number | boolean>;

/**
 * Begins to observe a call: a span and metrics of `@opentelemetry/api`, after the conventions for
 * generative AI; nothing where that package is missing. Nothing that goes wrong here reaches the call.
 */
export function observeCall(call: ObservedCall): CallObserver {
  const startedAt = Date.now();
  const begun = performance.now();
  // The continuation has the context of the caller, so that his span is the parent of this one.
  const following = loadSink().then((sink) => sink && follow(sink, call, startedAt));
  const tell = (what: (follower: Follower) => void | Promise<void>) => {
    following.then((follower) => follower && what(follower)).catch(() => undefined);
  };
  return {
    refused: (code, error) => tell((follower) => follower.refused(code, error)),
    ended(end) {
      const seconds = (performance.now() - begun) / 1000;
      tell((follower) => follower.ended(end, seconds));
    },
    lost(error) {
      const seconds = (performance.now() - begun) / 1000;
      tell((follower) => follower.lost(error, seconds));
    },
  };
}

interface Follower {
  refused(code: string, error: unknown): void;
  ended(end: CallEnd, seconds: number): Promise<void>;
  lost(error: unknown, seconds: number): void;
}

function follow(sink: Sink, call: ObservedCall, startedAt: number): Follower {
  const about = describe(call);
  const span = sink.startSpan(nameOf(call, about), startedAt, {
    ...about,
    "baseledger.wallet_id": call.walletId,
    "gen_ai.request.stream": call.stream,
  });
  return {
    refused(code, error) {
      const why: Attributes = { "baseledger.refusal.code": code };
      if (error instanceof LimitReachedError) why["baseledger.limit.id"] = error.limitId;
      sink.refusals.add(1, { ...about, ...why });
      span.end({ ...why, "error.type": code }, "not sent");
    },
    async ended({ basis, amount, usage, why }, seconds) {
      const failed: Attributes = why === undefined ? {} : { "error.type": why };
      sink.duration.record(seconds, { ...about, ...failed });
      const tokens = basis === "usage" ? tokensOf(usage) : {};
      for (const [type, n] of Object.entries(tokens)) {
        sink.tokens.record(n, { ...about, "gen_ai.token.type": type });
      }
      const cost = await costOf(call, amount);
      if (cost) {
        const by = { "baseledger.unit": cost.unit, "baseledger.basis": basis };
        sink.cost.add(cost.value, { ...about, ...by });
      }
      const counts = Object.entries(tokens).map(([type, n]) => [`gen_ai.usage.${type}_tokens`, n]);
      const booked = {
        ...Object.fromEntries(counts),
        ...failed,
        "baseledger.basis": basis,
        ...(cost && { "baseledger.cost": cost.value, "baseledger.unit": cost.unit }),
      };
      span.end(booked, why);
    },
    lost(error, seconds) {
      const failed = { "error.type": error instanceof Error ? error.name : "_OTHER" };
      sink.duration.record(seconds, { ...about, ...failed });
      span.end(failed, "not booked");
    },
  };
}

/** Providers that the conventions name otherwise. */
const PROVIDERS: Readonly<Record<string, string>> = {
  google: "gcp.gemini",
  "x-ai": "x_ai",
  mistral: "mistral_ai",
  moonshotai: "moonshot_ai",
  aws: "aws.bedrock",
  azure: "azure.ai.openai",
};

function describe({ operation, model, variant, tool }: ObservedCall): Attributes {
  const about: Attributes = { "gen_ai.operation.name": operation };
  if (tool !== undefined) about["gen_ai.tool.name"] = tool;
  if (model === undefined) return about;
  const slash = model.indexOf("/");
  const provider = model.slice(0, slash);
  about["gen_ai.provider.name"] = PROVIDERS[provider] ?? provider;
  about["gen_ai.request.model"] = model.slice(slash + 1);
  about["baseledger.variant"] = variant;
  return about;
}

function nameOf({ operation, tool }: ObservedCall, about: Attributes): string {
  return `${operation} ${tool ?? about["gen_ai.request.model"] ?? ""}`.trimEnd();
}

/** Tokens as the conventions count them: input with what came from a cache. */
function tokensOf(usage: Usage | undefined): Readonly<Record<string, number>> {
  const tokens: Record<string, number> = {};
  for (const [kind, n] of Object.entries(usage ?? {})) {
    const [type] = /^(?:input|output)|^cache(?=_)/.exec(kind) ?? [];
    if (type === undefined || typeof n !== "number") continue;
    const as = type === "cache" ? "input" : type;
    tokens[as] = (tokens[as] ?? 0) + n;
  }
  return tokens;
}

async function costOf(
  { wallet }: ObservedCall,
  amount: bigint | undefined,
): Promise<{ readonly value: number; readonly unit: string } | undefined> {
  if (amount === undefined) return undefined;
  const found = await wallet();
  return found && { value: Number(amount) / 10 ** found.scale, unit: found.unit };
}
