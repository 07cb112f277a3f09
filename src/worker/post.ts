import { createHmac } from "node:crypto";
import { lookup as lookupName } from "node:dns";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import type { Delivery } from "../generated/index.ts";
import { publicOnly, requirePublicHost } from "./addresses.ts";
import { messageOf } from "./logger.ts";

/** How {@link postAlert} sends; the defaults are for all but tests. */
export interface PostOptions {
  readonly stopping: AbortSignal;
  readonly lookup?: LookupFunction;
  /** To connect, to send, and to get the head of the answer. */
  readonly withinMs?: number;
}

const WITHIN_MS = 10_000;

/**
 * Posts an alert to its webhook, signed after Standard Webhooks. Resolves with null if it was
 * received, else with the reason. Only an answer from 200 to 299 counts: no redirect is followed, as
 * it may lead to where nothing is to be sent.
 */
export async function postAlert(delivery: Delivery, options: PostOptions): Promise<string | null> {
  const { stopping, withinMs = WITHIN_MS } = options;
  const late = AbortSignal.timeout(withinMs);
  try {
    const status = await post(delivery, AbortSignal.any([late, stopping]), options.lookup);
    return status >= 200 && status < 300 ? null : `answered ${status}`;
  } catch (error) {
    if (stopping.aborted) return "the worker was stopped";
    if (late.aborted) return `no answer within ${withinMs / 1000} seconds`;
    return reasonOf(error);
  }
}

/** The status of the answer, of which no more is read. */
async function post(
  delivery: Delivery,
  signal: AbortSignal,
  lookup: LookupFunction = lookupName,
): Promise<number> {
  const url = new URL(delivery.url);
  if (!delivery.allowPrivate) requirePublicHost(url);
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, {
    method: "POST",
    headers: headersOf(delivery),
    // A connection of its own, and never through a proxy, which would look the name up again.
    agent: false,
    lookup: delivery.allowPrivate ? lookup : publicOnly(lookup),
    signal,
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
    request.on("close", () => reject(new Error("the connection was closed without an answer")));
    request.end(delivery.body);
  });
  response.on("error", () => undefined);
  response.destroy();
  return response.statusCode ?? 0;
}

function headersOf({ messageId, secret, body }: Delivery): Record<string, string | number> {
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = `${messageId}.${timestamp}.${body}`;
  return {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "user-agent": "baseledger",
    "webhook-id": messageId,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${createHmac("sha256", key).update(signed).digest("base64")}`,
  };
}

// A host with several addresses fails with an error that has one for each.
function reasonOf(error: unknown): string {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return errors.map(messageOf).join("; ");
}
