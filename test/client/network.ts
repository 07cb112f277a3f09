import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A network between a client and the server, controlled by a test. */
export interface Network extends AsyncDisposable {
  /** The address that leads through it. */
  through(url: string): string;
  /** Keeps what is sent in this direction from now on, on the existing connections. */
  hold(direction: "questions" | "answers"): void;
  /** How many bytes are kept. */
  readonly held: number;
  /** Delivers so many of the bytes kept for the first receiver. */
  deliver(bytes: number): Promise<void>;
  /**
   * Cuts the client's end of the existing connections, with a reset or an orderly end; the server
   * does not notice.
   */
  cut(how?: "reset" | "end"): void;
  /** Delivers what was kept, and keeps nothing more. */
  release(): void;
  /** All that clients have sent. */
  readonly questions: string;
  /** Connections that the server knows of. */
  readonly lines: number;
  /** Refuses new connections with a FATAL error of this code, as a pooler does; undefined: no more. */
  fail(code: string | undefined): void;
  /** How many it has refused in this way. */
  readonly failures: number;
  /** Accepts no connections, or accepts them again. */
  refuse(refused: boolean): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly server: Socket;
}

/** Listens in front of the server at this address. */
export async function createNetwork(target: string): Promise<Network> {
  const { hostname, port: targetPort } = new URL(target);
  const lines = new Set<Line>();
  let kept: { to: Socket; data: Buffer }[] = [];
  const holding = new Set<Socket>();
  let questions = "";
  let failure: string | undefined;
  let failures = 0;

  function forward(from: Socket, to: Socket): void {
    from.on("data", (data) => {
      if (holding.has(to)) kept.push({ to, data });
      else to.write(data);
    });
    from.on("error", () => undefined);
  }

  const listener = createServer((client) => {
    if (failure !== undefined) {
      const error = errorResponse(failure);
      client.on("error", () => undefined);
      client.once("data", () => client.end(error));
      failures += 1;
      return;
    }
    const server = connect(Number(targetPort), hostname);
    const line = { client, server };
    lines.add(line);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on("data", (data) => {
      questions += data.toString("latin1");
    });
    forward(client, server);
    forward(server, client);
    // The server does not notice that a client has gone, as in a network that has failed.
    client.on("end", () => holding.has(server) || server.end());
    server.on("close", () => {
      client.destroy();
      lines.delete(line);
    });
  });
  const listen = async (port: number) => {
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
  };
  await listen(0);
  const { port } = listener.address() as AddressInfo;

  return {
    through(url) {
      const changed = new URL(url);
      changed.hostname = "127.0.0.1";
      changed.port = String(port);
      return changed.href;
    },
    hold(direction) {
      for (const { client, server } of lines) {
        holding.add(direction === "questions" ? server : client);
      }
    },
    get held() {
      return kept.reduce((sum, { data }) => sum + data.length, 0);
    },
    async deliver(bytes) {
      const [first] = kept;
      const parts = kept.filter(({ to }) => to === first?.to);
      const data = Buffer.concat(parts.map((part) => part.data)).subarray(0, bytes);
      await new Promise((resolve) => first?.to.write(data, resolve));
    },
    cut(how = "reset") {
      for (const { client, server } of lines) {
        holding.add(server);
        if (how === "reset") client.resetAndDestroy();
        else client.destroy();
      }
    },
    release() {
      holding.clear();
      for (const { to, data } of kept) to.write(data);
      kept = [];
    },
    get questions() {
      return questions;
    },
    get lines() {
      return lines.size;
    },
    fail(code) {
      failure = code;
    },
    get failures() {
      return failures;
    },
    async refuse(refused) {
      if (!refused) return listen(port);
      listener.close();
      for (const { client, server } of lines) {
        client.destroy();
        server.destroy();
      }
      await once(listener, "close");
    },
    async [Symbol.asyncDispose]() {
      for (const { client, server } of lines) {
        client.destroy();
        server.destroy();
      }
      if (!listener.listening) return;
      listener.close();
      await once(listener, "close");
    },
  };
}

/** An error as poolers send it: without PostgreSQL's untranslated severity. */
function errorResponse(code: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0Mno more connections\0\0`);
  const head = Buffer.from("E....");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
