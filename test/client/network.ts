import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A network between a client and the server, of which a test decides what it does. */
export interface Network extends AsyncDisposable {
  /** An address, through it. */
  through(url: string): string;
  /** Keeps from now on what is sent in this direction, of the connections there are. */
  hold(direction: "questions" | "answers"): void;
  /** How much is being kept. */
  readonly held: number;
  /** Delivers so much of what is being kept for the first who waits. */
  deliver(bytes: number): Promise<void>;
  /**
   * Cuts the client's end of the connections there are, with a reset or an orderly end; the server
   * does not learn of it.
   */
  cut(how?: "reset" | "end"): void;
  /** Delivers what was kept, and goes on. */
  release(): void;
  /** All that clients have sent. */
  readonly questions: string;
  /** Connections that the server knows of. */
  readonly lines: number;
  /** Takes no more connections, or takes them again. */
  refuse(refused: boolean): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly server: Socket;
}

/** Listens in front of the server at an address. */
export async function createNetwork(target: string): Promise<Network> {
  const { hostname, port: targetPort } = new URL(target);
  const lines = new Set<Line>();
  let kept: { to: Socket; data: Buffer }[] = [];
  const holding = new Set<Socket>();
  let questions = "";

  function forward(from: Socket, to: Socket): void {
    from.on("data", (data) => {
      if (holding.has(to)) kept.push({ to, data });
      else to.write(data);
    });
    from.on("error", () => undefined);
  }

  const listener = createServer((client) => {
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
    // A client that goes away is not told to the server, as in a network that has failed.
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
