import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Health } from "./health.ts";

/** What to serve, and where. */
export interface HealthOptions {
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  /** Whether the worker is ready. It is live as long as it answers. */
  health(): Promise<Health>;
  /** The metrics, in a format that Prometheus reads. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** The HTTP server that monitoring asks. */
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
  { health, metrics }: HealthOptions,
  path: string,
  response: ServerResponse,
): Promise<void> {
  if (path === "/health/live") return sendJson(response, 200, { status: "live" });
  if (path === "/health/ready") {
    const found = await health();
    return sendJson(response, found.status === "ready" ? 200 : 503, found);
  }
  if (path !== "/metrics") return send(response, 404);
  const { contentType, text } = await metrics();
  return send(response, 200, contentType, text);
}

async function sendJson(response: ServerResponse, code: number, body: object): Promise<void> {
  return send(response, code, "application/json", `${JSON.stringify(body)}\n`);
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
