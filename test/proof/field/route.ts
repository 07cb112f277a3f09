// What stands between clients and the servers: it leads new connections where it is told to.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** An address in front of a server, which may be another one later. */
export interface Route extends AsyncDisposable {
  /** An address of the server, by this route. */
  through(url: string): string;
  /** Leads new connections to another server; those that there are stay where they are. */
  leadTo(url: string): void;
  /** Ends all connections. */
  cut(): void;
  /** Refuses each session with an error of a server, or of a pooler, before it is ready. */
  refuse(code: string | undefined): void;
  /** Sessions that were refused so. */
  readonly refused: number;
  /** Connections that were made. */
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
      // It asks first.
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

/** A message with which a server ends a session that has not begun. */
function fatal(code: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${code}\0Mrefused by the proof\0\0`;
  const message = Buffer.alloc(5 + fields.length);
  message.write("E");
  message.writeInt32BE(4 + fields.length, 1);
  message.write(fields, 5, "latin1");
  return message;
}
