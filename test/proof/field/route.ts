// A proxy between clients and servers, which connects new sessions to the server that is set.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** An address in front of a server, which may change. */
export interface Route extends AsyncDisposable {
  /** The address of a server through this route. */
  through(url: string): string;
  /** Connects new sessions to another server; existing ones stay where they are. */
  leadTo(url: string): void;
  /** Ends all connections. */
  cut(): void;
  /** Refuses new sessions with an error as of a server or a pooler; undefined accepts them again. */
  refuse(code: string | undefined): void;
  /** How many sessions were refused. */
  readonly refused: number;
  /** How many connections were opened. */
  readonly opened: number;
}

/** Opens a route to the server at an address. */
export async function openRoute(url: string): Promise<Route> {
  let target = new URL(url);
  let code: string | undefined;
  let refused = 0;
  let opened = 0;
  const sockets = new Set<Socket>();

  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  };
  const listener = createServer((client) => {
    track(client);
    opened += 1;
    if (code !== undefined) {
      refused += 1;
      const answer = fatal(code);
      // The client sends first.
      client.once("data", () => client.end(answer));
      return;
    }
    const server = connect(Number(target.port), target.hostname);
    track(server);
    client.pipe(server).pipe(client);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    through(given) {
      const changed = new URL(given);
      changed.hostname = "127.0.0.1";
      changed.port = String(port);
      return changed.href;
    },
    leadTo(next) {
      target = new URL(next);
    },
    cut,
    refuse(next) {
      code = next;
    },
    get refused() {
      return refused;
    },
    get opened() {
      return opened;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      cut();
      await once(listener, "close");
    },
  };
}

/** The message with which a server refuses a session. */
function fatal(code: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${code}\0Mrefused by the proof\0\0`;
  const message = Buffer.alloc(5 + fields.length);
  message.write("E");
  message.writeInt32BE(4 + fields.length, 1);
  message.write(fields, 5, "latin1");
  return message;
}
