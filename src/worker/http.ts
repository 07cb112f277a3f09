import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What is served, and where. */
export interface HealthOptions {
  readonly host: string;
  /** 0 for one that is free. */
  readonly port: number;
  /** Whether the worker does its work just now; for as long as it can be asked, it is alive. */
  ready(): Promise<boolean>;
  /** The metrics, in a format that Prometheus reads. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** A small HTTP server for those who look after the worker. */
export interface HealthServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Serves `/health/live`, `/health/ready` and `/metrics`. */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const reading = request.method === "GET" || request.method === "HEAD";
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const answered = reading ? answer(options, path, response) : send(response, 405);
    answered.catch(() => send(response, 500));
  });
  server.listen(options.port, options.host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, stop: () => stop(server) };
}

async function answer(
  { ready, metrics }: HealthOptions,
  path: string,
  response: ServerResponse,
): Promise<void> {
  if (path === "/health/live") return sendStatus(response, true, "live");
  if (path === "/health/ready") return sendStatus(response, await ready(), "ready");
  if (path !== "/metrics") return send(response, 404);
  const { contentType, text } = await metrics();
  return send(response, 200, contentType, text);
}

async function sendStatus(response: ServerResponse, good: boolean, name: string): Promise<void> {
  const text = `${JSON.stringify({ status: good ? name : `not ${name}` })}\n`;
  return send(response, good ? 200 : 503, "application/json", text);
}

async function send(
  response: ServerResponse,
  code: number,
  contentType = "text/plain; charset=utf-8",
  text = "",
): Promise<void> {
  response.writeHead(code, { "content-type": contentType, "cache-control": "no-store" }).end(text);
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close").catch(() => undefined);
}
