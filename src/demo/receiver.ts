import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { addWebhook, removeWebhook } from "../generated/index.ts";
import type { Sql } from "./connections.ts";

/** An alert that has arrived. */
export interface ReceivedAlert {
  readonly limitId: string;
  readonly values: readonly string[];
  /** Percent of the limit. */
  readonly threshold: number;
  /** Whether it is signed with the webhook's secret. */
  readonly isSigned: boolean;
  /** From the event to its arrival, by the two machines' clocks. */
  readonly seconds: number;
}

/** A receiver on this machine for the alerts of one wallet. */
export interface Receiver {
  readonly alerts: readonly ReceivedAlert[];
  /** Resolves with whether an alert has arrived, after so many milliseconds at most. */
  hasReceived(withinMs: number): Promise<boolean>;
  /** Removes the webhook. */
  stop(): Promise<void>;
}

/** Listens on this machine, and adds a webhook for it. */
export async function startReceiver(operator: Sql, walletId: string): Promise<Receiver> {
  const alerts: ReceivedAlert[] = [];
  const arrived = Promise.withResolvers<true>();
  let secret = "";
  const server = createServer(async (request, response) => {
    const body = await text(request);
    response.writeHead(204).end();
    alerts.push(readAlert(body, isSigned(request, body, secret)));
    arrived.resolve(true);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/alerts`;
  const added = await addWebhook(operator, { walletId, url, allowPrivate: true });
  secret = added.secret ?? "";
  return {
    alerts,
    async hasReceived(withinMs) {
      const late = Promise.withResolvers<false>();
      const timer = setTimeout(late.resolve, withinMs, false);
      const has = await Promise.race([arrived.promise, late.promise]);
      clearTimeout(timer);
      return has;
    },
    async stop() {
      await removeWebhook(operator, { webhookId: added.webhookId });
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function readAlert(body: string, isSigned: boolean): ReceivedAlert {
  const { data, timestamp } = JSON.parse(body);
  const seconds = Math.max(Date.now() - Date.parse(timestamp), 0) / 1000;
  const { limit_id: limitId, values, threshold } = data;
  return { limitId, values, threshold, isSigned, seconds };
}

/** Checks a signature as Standard Webhooks says. */
function isSigned({ headers }: IncomingMessage, body: string, secret: string): boolean {
  const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = Buffer.from(`v1,${createHmac("sha256", key).update(content).digest("base64")}`);
  const given = Buffer.from(String(headers["webhook-signature"]));
  return given.length === expected.length && timingSafeEqual(given, expected);
}
