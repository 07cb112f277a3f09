import { execFile } from "node:child_process";
import { createServer, type LookupFunction } from "node:net";
import { promisify } from "node:util";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Delivery } from "../../src/generated/index.ts";
import { type PostOptions, postAlert } from "../../src/worker/post.ts";
import { type Receiver, startReceiver } from "./receiver.ts";

const secret = `whsec_${Buffer.from("a key of 32 bytes, but no secret").toString("base64")}`;

const run = promisify(execFile);

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver[Symbol.asyncDispose]());

function deliveryTo(path: string, changes: Partial<Delivery> = {}): Delivery {
  return {
    url: `http://127.0.0.1:${receiver.port}${path}`,
    secret,
    allowPrivate: true,
    messageId: "alert_1",
    body: '{"type": "baseledger.limit", "data": {"limit_id": "täglich"}}',
    ...changes,
  };
}

function post(delivery: Delivery, options: Partial<PostOptions> = {}): Promise<string | null> {
  return postAlert(delivery, { stopping: new AbortController().signal, ...options });
}

test("posts JSON with the headers of Standard Webhooks", async () => {
  const delivery = deliveryTo("/hooks?team=a#b");
  expect(await post(delivery)).toBeNull();
  const [{ path, headers, body } = { path: "", headers: {}, body: "" }] = receiver.received;
  expect(path).toBe("/hooks?team=a");
  expect(body).toBe(delivery.body);
  expect(headers).toMatchObject({ "content-type": "application/json", "webhook-id": "alert_1" });
  expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(delivery.body));
  const another = `whsec_${Buffer.from("another key of as many bytes, 32").toString("base64")}`;
  expect(() => new Webhook(another).verify(body, headers)).toThrow("No matching signature");
  expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow("No matching signature");
  const later = { ...headers, "webhook-id": "alert_2" };
  expect(() => new Webhook(secret).verify(body, later)).toThrow("No matching signature");
});

describe("is received only if the answer is from 200 to 299:", () => {
  test.each([200, 201, 202, 204, 299])("%i is", async (status) => {
    receiver.answer = (response) => response.writeHead(status).end();
    expect(await post(deliveryTo("/"))).toBeNull();
  });

  test.each([300, 304, 400, 401, 404, 410, 429, 500, 503])("%i is not", async (status) => {
    receiver.answer = (response) => response.writeHead(status).end("why");
    expect(await post(deliveryTo("/"))).toBe(`answered ${status}`);
  });

  test.each([301, 302, 303, 307, 308])("%i is not followed", async (status) => {
    receiver.answer = (response) =>
      response.writeHead(status, { location: `http://127.0.0.1:${receiver.port}/other` }).end();
    expect(await post(deliveryTo("/"))).toBe(`answered ${status}`);
    expect(receiver.received.map(({ path }) => path)).toEqual(["/"]);
  });
});

test("does not wait for the rest of an answer that never ends", async () => {
  receiver.answer = (response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
    response.on("close", () => clearInterval(timer));
  };
  expect(await post(deliveryTo("/"))).toBeNull();
});

describe("gives the reason", () => {
  test("if there is no answer in time", async () => {
    receiver.answer = () => undefined;
    expect(await post(deliveryTo("/"), { withinMs: 200 })).toBe("no answer within 0.2 seconds");
  });

  test("if the head of the answer comes too slowly", async () => {
    receiver.answer = (response) => response.writeProcessing();
    expect(await post(deliveryTo("/"), { withinMs: 200 })).toBe("no answer within 0.2 seconds");
  });

  test("if the worker is stopped", async () => {
    const stopping = new AbortController();
    receiver.answer = () => stopping.abort();
    expect(await post(deliveryTo("/"), { stopping: stopping.signal })).toBe(
      "the worker was stopped",
    );
  });

  test("if nobody listens", async () => {
    const url = "http://127.0.0.1:1/";
    expect(await post(deliveryTo("/", { url }))).toContain("ECONNREFUSED");
  });

  test("if the connection ends without an answer", async () => {
    receiver.answer = (response) => response.destroy();
    expect(await post(deliveryTo("/"))).toMatch(/socket hang up|ECONNRESET/);
  });

  test("if the answer is no HTTP", async () => {
    await using server = createServer((socket) =>
      socket
        .on("error", () => undefined)
        .resume()
        .end("SSH-2.0-OpenSSH\r\n"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${port}/`;
    expect(await post(deliveryTo("/", { url }))).toContain("Parse Error");
  });

  test("if the receiver changes the protocol", async () => {
    receiver.answer = (response) =>
      response.writeHead(101, { connection: "upgrade", upgrade: "x" }).end();
    expect(await post(deliveryTo("/"), { withinMs: 500 })).not.toBeNull();
  });

  test("if the URL is none", async () => {
    expect(await post(deliveryTo("/", { url: "http://host:99999/" }))).toBe("Invalid URL");
  });
});

describe("private addresses", () => {
  test.each([
    ["by a literal", (port: number) => `http://127.0.0.1:${port}/`],
    ["by a number", (port: number) => `http://2130706433:${port}/`],
    ["mapped into IPv6", (port: number) => `http://[::ffff:127.0.0.1]:${port}/`],
    ["by a name", (port: number) => `http://localhost:${port}/`],
  ])("are refused %s", async (_how, urlOf) => {
    const url = urlOf(receiver.port);
    expect(await post(deliveryTo("/", { url, allowPrivate: false }))).toMatch(/no public address/);
    expect(receiver.received).toEqual([]);
    expect(await post(deliveryTo("/", { url: url.replace(/\[.*\]/, "127.0.0.1") }))).toBeNull();
  });

  test("are refused when a name that was public means one now", async () => {
    const answers = ["8.8.8.8", "127.0.0.1"];
    let asked = 0;
    const lookup: LookupFunction = (_host, options, callback) => {
      const address = answers[Math.min(asked++, 1)] ?? "";
      if (options.all) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    };
    const url = `http://hooks.example.com:${receiver.port}/`;
    // As somebody who checks the name first: it is public then.
    lookup("hooks.example.com", {}, (_error, address) => expect(address).toBe("8.8.8.8"));
    expect(await post(deliveryTo("/", { url, allowPrivate: false }), { lookup })).toBe(
      "hooks.example.com is at 127.0.0.1, which is no public address",
    );
    expect(receiver.received).toEqual([]);
  });

  test("are connected to as they were looked up, once", async () => {
    let asked = 0;
    const lookup: LookupFunction = (_host, _options, callback) => {
      asked += 1;
      callback(null, [{ address: "127.0.0.1", family: 4 }]);
    };
    const url = `http://hooks.example.com:${receiver.port}/`;
    expect(await post(deliveryTo("/", { url }), { lookup })).toBeNull();
    expect(asked).toBe(1);
    expect(receiver.received[0]?.headers.host).toBe(`hooks.example.com:${receiver.port}`);
  });

  test("are not asked for from a proxy of the environment", async () => {
    // Node reads these variables when it starts.
    const proxy = { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: `http://127.0.0.1:${receiver.port}` };
    const delivery = deliveryTo("/", { url: "http://127.0.0.1:1/" });
    const module = new URL("../../src/worker/post.ts", import.meta.url).href;
    const program = `
      import { postAlert } from ${JSON.stringify(module)};
      const { signal } = new AbortController();
      console.log(await postAlert(${JSON.stringify(delivery)}, { stopping: signal }));`;
    const args = ["--input-type=module", "--eval", program];
    const { stdout } = await run(process.execPath, args, { env: { ...process.env, ...proxy } });
    expect(stdout).toContain("ECONNREFUSED");
    expect(receiver.received).toEqual([]);
  });
});
