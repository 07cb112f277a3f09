import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { Client } from "pg";

/*
 * PostgreSQL's wire protocol with as little work as possible: the load generator shares the
 * processors with the server. A statement is parsed once per connection; what a client sends at once
 * is one write; of the answers only the length of rows and the command tag are looked at. The
 * library pg opens the connection, as its authentication is not measured.
 */

/** A prepared statement, and the answer that shows that it did what was asked. */
export interface Statement {
  readonly text: string;
  /** Its command tag, e.g. `INSERT 0 1`. */
  readonly tag: string;
  /** Whether each row must be one null: the `refused` of a receipt. */
  readonly nullRows?: true;
}

/** A statement with its parameters, as text. */
export interface Execution {
  readonly statement: Statement;
  readonly values: readonly string[];
}

/** A connection that is used by one client. */
export interface WireConnection {
  /**
   * Executes statements in one round trip, each after the one before. `done` is called when all are
   * answered, or with what went wrong; not before that may it be called again.
   */
  execute(executions: readonly Execution[], done: Done): void;
  close(): void;
}

type Done = (error?: Error) => void;

const HEADER = 5;
const NOTHING = Buffer.alloc(0);
const NULL_ROW = 1 + 4 + 2 + 4;
const [COMMAND_COMPLETE, DATA_ROW, ERROR_RESPONSE, READY_FOR_QUERY] = [..."CDEZ"].map((type) =>
  type.charCodeAt(0),
);

/** Connects to the server of a URL, with whatever authentication it asks for. */
export async function connectWire(url: string): Promise<WireConnection> {
  const stream = createStream();
  const client = new Client({ connectionString: url, stream: () => stream });
  let done: Done | undefined;
  let lost: Error | undefined;
  client.on("error", (error) => {
    lost = error;
    done?.(error);
  });
  await client.connect();

  const encoder = createEncoder();
  const names = new Map<Statement, string>();
  let expected: readonly Execution[] = [];
  let answered = 0;
  let failure: Error | undefined;
  let rest: Buffer = NOTHING;

  const read = (message: Buffer, type: number | undefined): void => {
    const statement = expected[answered]?.statement;
    if (type === DATA_ROW) {
      if (statement?.nullRows && message.length !== NULL_ROW) failure ??= refusal(message);
    } else if (type === COMMAND_COMPLETE) {
      const tag = message.toString("latin1", HEADER, message.length - 1);
      if (tag !== statement?.tag) {
        failure ??= new Error(`the bench expected ${statement?.tag}, and the server did ${tag}`);
      }
      answered += 1;
    } else if (type === ERROR_RESPONSE) {
      failure ??= serverError(message);
    } else if (type === READY_FOR_QUERY) {
      done?.(failure);
    }
  };

  const socket = stream.takeOver((chunk) => {
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    while (at + HEADER <= data.length) {
      const end = at + 1 + data.readUInt32BE(at + 1);
      if (end > data.length) break;
      read(data.subarray(at, end), data[at]);
      at = end;
    }
    // A copy: the chunk's memory is used again.
    rest = at < data.length ? Buffer.from(data.subarray(at)) : NOTHING;
  });

  return {
    execute: (executions, then) => {
      if (lost) {
        then(lost);
        return;
      }
      [expected, answered, failure, done] = [executions, 0, undefined, then];
      for (const { statement, values } of executions) {
        let name = names.get(statement);
        if (name === undefined) {
          name = `s${names.size}`;
          names.set(statement, name);
          encoder.parse(name, statement.text);
        }
        encoder.bindAndExecute(name, values);
      }
      socket.write(encoder.sync());
    },
    close: () => {
      done = undefined;
      socket.destroy();
    },
  };
}

/**
 * A socket that reads into one buffer, without the work of a stream; until it is taken over, it is
 * a stream that pg opens the connection on.
 */
function createStream() {
  let socket: Socket;
  let read = (chunk: Buffer): void => {
    stream.push(Buffer.from(chunk));
  };
  const onread = {
    buffer: Buffer.allocUnsafe(1 << 16),
    callback: (bytes: number, buffer: Uint8Array): boolean => {
      read((buffer as Buffer).subarray(0, bytes));
      return true;
    },
  };
  const stream = Object.assign(
    new Duplex({
      read: () => undefined,
      write: (chunk, _encoding, then) => socket.write(chunk, then),
      destroy: (error, then) => {
        socket.destroy();
        then(error);
      },
    }),
    {
      setNoDelay: () => undefined,
      connect: (port: number, host: string) => {
        socket = connect({ port, host, noDelay: true, onread });
        socket.on("connect", () => stream.emit("connect"));
        socket.on("error", (error) => stream.destroy(error));
        socket.on("close", () => stream.destroy());
      },
      takeOver: (reader: (chunk: Buffer) => void): Socket => {
        read = reader;
        return socket;
      },
    },
  );
  return stream;
}

/** Writes messages into one buffer, which is used again once the server has answered. */
function createEncoder() {
  let buffer = Buffer.allocUnsafe(1 << 16);
  let length = 0;
  const reserve = (bytes: number): void => {
    if (length + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * (length + bytes));
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
  };
  const int16 = (value: number): void => {
    length = buffer.writeInt16BE(value, length);
  };
  const int32 = (value: number): void => {
    length = buffer.writeInt32BE(value, length);
  };
  const string = (value: string): void => {
    length += buffer.write(value, length);
  };
  const zeroEnded = (value: string): void => {
    string(value);
    length = buffer.writeUInt8(0, length);
  };
  /** A message: its type, and its length once `write` has written the rest. */
  const message = (type: string, write: () => void): void => {
    string(type);
    const start = length;
    length += 4;
    write();
    buffer.writeInt32BE(length - start, start);
  };
  return {
    parse: (name: string, text: string): void => {
      reserve(3 * (name.length + text.length) + 16);
      message("P", () => {
        zeroEnded(name);
        zeroEnded(text);
        int16(0); // the server finds out the types of parameters
      });
    },
    bindAndExecute: (name: string, values: readonly string[]): void => {
      // A character takes up to 3 bytes in UTF-8 for each of its UTF-16 units.
      reserve(values.reduce((sum, value) => sum + 3 * value.length + 4, 3 * name.length + 64));
      message("B", () => {
        zeroEnded(""); // the portal
        zeroEnded(name);
        int16(0); // all parameters are text
        int16(values.length);
        for (const value of values) {
          const start = length;
          length += 4;
          string(value);
          buffer.writeInt32BE(length - start - 4, start);
        }
        int16(0); // so are all results
      });
      message("E", () => {
        zeroEnded("");
        int32(0); // all rows
      });
    },
    sync: (): Buffer => {
      reserve(HEADER);
      message("S", () => undefined);
      const sent = buffer.subarray(0, length);
      length = 0;
      return sent;
    },
  };
}

function refusal(row: Buffer): Error {
  return new Error(`the ledger refused a command: ${row.toString("utf8", NULL_ROW)}`);
}

/** The fields of an ErrorResponse are a letter and a text each. */
function serverError(message: Buffer): Error {
  const fields = message.toString("utf8", HEADER).split("\0");
  const [code, text, detail] = ["C", "M", "D"].map((letter) =>
    fields.find((field) => field.startsWith(letter))?.slice(1),
  );
  return new Error(`${code}: ${text}${detail === undefined ? "" : ` (${detail})`}`);
}
